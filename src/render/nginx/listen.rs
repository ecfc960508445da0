//! nginx's listeners: addresses with ports, plain or with TLS, and a Unix socket.

use super::super::service::{Ports, local};
use super::super::{Input, StateBuilder};
use crate::deployment::endpoints::loopback;
use crate::settings::Settings;
use crate::state::ports::Transport;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::{IpAddr, SocketAddr};

/// The `listen` lines and the HTTP/2 directive of nginx's only `server`.
#[derive(Template)]
#[template(path = "nginx/listen.conf")]
pub(super) struct Listen {
    listens: Vec<String>,
    http2: bool,
}

/// The sockets that systemd opens for nginx.
#[derive(Template)]
#[template(path = "synapse-nginx.socket")]
struct Socket {
    addresses: Vec<String>,
}

/// The ports that nginx binds, one row per setting.
#[rustfmt::skip]
pub(in crate::render) const PORTS: &[Ports] = &[
    Ports { setting: "http_port",            bound: |input| public(input.settings.plain_addresses(input.facts.ipv6), Some(input.settings.http_port.number())) },
    Ports { setting: "http_federation_port", bound: |input| public(input.settings.plain_addresses(input.facts.ipv6), input.settings.http_federation_port.map(|port| port.number())) },
    Ports { setting: "tls.port",             bound: |input| public(input.settings.tls_addresses(input.facts.ipv6), tls_ports(&input.settings).first().copied()) },
    Ports { setting: "tls.federation_port",  bound: |input| public(input.settings.tls_addresses(input.facts.ipv6), tls_ports(&input.settings).get(1).copied()) },
    Ports { setting: "tcp_ports",            bound: |input| super::status(input).map(local).unwrap_or_default() },
];

/// A port on each address.
fn public(addresses: Vec<IpAddr>, port: Option<u16>) -> Vec<(Transport, SocketAddr)> {
    let on = |address: IpAddr| Some((Transport::Tcp, SocketAddr::new(address, port?)));
    addresses.into_iter().filter_map(on).collect()
}

/// The first nginx version with a separate directive for HTTP/2; it warns about `listen … http2` (nginx' CHANGES,
/// 1.25.1).
const OWN_DIRECTIVE: (u32, u32) = (1, 25);

/// The same backlog as in the socket unit. With nginx's default of 511, a burst of connections makes the kernel drop
/// others, which retry only after a second.
const BACKLOG: &str = "backlog=4096";

impl Listen {
    pub fn new(input: &Input) -> Self {
        let settings = &input.settings;
        let own_directive = input.facts.nginx >= OWN_DIRECTIVE;
        let tls = if own_directive { " ssl" } else { " ssl http2" };
        let plain = plain_listeners(input).map(|address| line(address, ""));
        let secure = tls_listeners(input).map(|address| line(address, tls));
        let mut listens: Vec<String> = plain
            .chain(secure)
            .map(|listen| match settings.sockets.held {
                true => listen,
                false => format!("{listen} {BACKLOG}"),
            })
            .collect();
        let socket = settings.nginx.listen_unix_socket.as_ref();
        listens.extend(socket.map(|path| format!("unix:{}", path.as_str())));
        Self {
            listens,
            http2: own_directive && !tls_ports(settings).is_empty(),
        }
    }
}

/// Adds the socket unit, if systemd opens the sockets.
pub(super) fn render_socket(builder: &mut StateBuilder) -> Result<()> {
    if builder.input.settings.sockets.held {
        let addresses = held(builder.input);
        builder.unit(units::NGINX_SOCKET, Socket { addresses }.render()?);
    }
    Ok(())
}

/// The addresses that systemd opens for nginx. They are written as in nginx's configuration, because nginx matches
/// inherited sockets by address.
pub(super) fn held(input: &Input) -> Vec<String> {
    let settings = &input.settings;
    let places = plain_listeners(input)
        .chain(tls_listeners(input))
        .map(|address| address.to_string());
    let socket = settings.nginx.listen_unix_socket.as_ref();
    let status = super::status(input).map(|port| loopback(port).to_string());
    places
        .chain(status)
        .chain(socket.map(|path| path.as_str().to_owned()))
        .collect()
}

/// The listeners for plain HTTP.
pub fn plain_listeners(input: &Input) -> impl Iterator<Item = SocketAddr> + use<> {
    let settings = &input.settings;
    on_each(
        plain_ports(settings),
        settings.plain_addresses(input.facts.ipv6),
    )
}

/// The listeners for HTTPS.
pub fn tls_listeners(input: &Input) -> impl Iterator<Item = SocketAddr> + use<> {
    let settings = &input.settings;
    on_each(
        tls_ports(settings),
        settings.tls_addresses(input.facts.ipv6),
    )
}

fn on_each(ports: Vec<u16>, addresses: Vec<IpAddr>) -> impl Iterator<Item = SocketAddr> {
    ports.into_iter().flat_map(move |port| {
        let addresses = addresses.clone().into_iter();
        addresses.map(move |address| SocketAddr::new(address, port))
    })
}

/// The ports of plain HTTP.
pub fn plain_ports(settings: &Settings) -> Vec<u16> {
    let ports = [Some(settings.http_port), settings.http_federation_port];
    ports
        .into_iter()
        .flatten()
        .map(|port| port.number())
        .collect()
}

/// The ports of HTTPS, if there is a certificate: one if clients and other homeservers share it.
pub fn tls_ports(settings: &Settings) -> Vec<u16> {
    let tls = &settings.tls;
    match tls.certificate {
        Some(_) if tls.port == tls.federation_port => vec![tls.port.number()],
        Some(_) => vec![tls.port.number(), tls.federation_port.number()],
        None => Vec::new(),
    }
}

fn line(address: SocketAddr, options: &str) -> String {
    match address {
        SocketAddr::V4(_) => format!("{address}{options}"),
        SocketAddr::V6(_) => format!("{address} ipv6only=on{options}"),
    }
}
