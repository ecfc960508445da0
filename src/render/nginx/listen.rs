//! nginx's listeners: addresses with ports, plain or with TLS, and a Unix socket.

use super::super::service::{Ports, local};
use super::super::{Input, StateBuilder};
use crate::deployment::endpoints::loopback;
use crate::settings::Settings;
use crate::settings::certificate::CHALLENGE_PORT;
use crate::state::digest;
use crate::state::ports::Transport;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::{IpAddr, SocketAddr};

/// The `listen` lines and the HTTP/2 directive of a `server`.
#[derive(Template)]
#[template(path = "nginx/listen.conf")]
struct Listen {
    listens: Vec<String>,
    http2: bool,
}

/// A way into nginx: listeners that find the address of a client in the same place, and so share a `server`.
pub(super) struct Way {
    /// The name of the `server`, which no client can choose.
    pub name: &'static str,
    /// The name of the file with the listeners. A separate file, because its change needs a restart.
    pub listen: &'static str,
    /// The contents of that file.
    pub listens: String,
    /// The digest of these contents, if the fingerprint of nginx.conf does not cover the file itself.
    pub digest: String,
    /// Whether the PROXY protocol contains the address of the client, and not a header.
    pub proxied: bool,
    /// The variable with the scheme that the client used. The PROXY protocol has none.
    pub scheme: &'static str,
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
    Ports { setting: "tls.acme",             bound: |input| challenge_listeners(input).map(|address| (Transport::Tcp, address)).collect() },
    Ports { setting: "nginx.proxy_protocol_ports", bound: |input| proxied_listeners(input).map(|address| (Transport::Tcp, address)).collect() },
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

/// The ways into nginx, each with its listeners.
///
/// # Errors
/// Fails only if the template cannot be rendered.
pub(super) fn ways(input: &Input) -> Result<Vec<Way>> {
    let direct = Way {
        name: "_",
        listen: "listen.conf",
        listens: direct(input).render()?,
        digest: String::new(),
        proxied: false,
        scheme: "$synapse_scheme",
    };
    if input.settings.nginx.proxy_protocol_ports.is_empty() {
        return Ok(vec![direct]);
    }
    let listens = proxied(input).render()?;
    let proxied = Way {
        name: "proxied",
        listen: "listen-proxied.conf",
        digest: digest(listens.as_bytes()),
        listens,
        proxied: true,
        scheme: "$scheme",
    };
    Ok(vec![direct, proxied])
}

/// The listeners that find the address of the client in a header, if at all.
fn direct(input: &Input) -> Listen {
    let plain = plain_listeners(input).map(|address| line(address, ""));
    let secure = tls_listeners(input).map(|address| line(address, tls(input)));
    let mut listens: Vec<String> = plain
        .chain(secure)
        .map(|listen| queued(input, listen))
        .collect();
    let socket = input.settings.nginx.listen_unix_socket.as_ref();
    listens.extend(socket.map(|path| format!("unix:{}", path.as_str())));
    Listen {
        listens,
        http2: has_own_directive(input) && !tls_ports(&input.settings).is_empty(),
    }
}

/// The listeners that expect the PROXY protocol.
fn proxied(input: &Input) -> Listen {
    let secure = input.settings.tls.is_on();
    let options = format!("{} proxy_protocol", if secure { tls(input) } else { "" });
    Listen {
        listens: proxied_listeners(input)
            .map(|address| queued(input, line(address, &options)))
            .collect(),
        http2: has_own_directive(input) && secure,
    }
}

/// The options of a listener for HTTPS.
fn tls(input: &Input) -> &'static str {
    match has_own_directive(input) {
        true => " ssl",
        false => " ssl http2",
    }
}

fn has_own_directive(input: &Input) -> bool {
    input.facts.nginx >= OWN_DIRECTIVE
}

/// A `listen` line with the length of its queue. The socket unit contains it if systemd opens the socket.
fn queued(input: &Input, listen: String) -> String {
    match input.settings.sockets.held {
        true => listen,
        false => format!("{listen} {BACKLOG}"),
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
        .chain(proxied_listeners(input))
        .chain(challenge_listeners(input))
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

/// The listeners that expect the PROXY protocol: for HTTPS if there is a certificate, otherwise for plain HTTP.
pub fn proxied_listeners(input: &Input) -> impl Iterator<Item = SocketAddr> + use<> {
    let (settings, ipv6) = (&input.settings, input.facts.ipv6);
    let addresses = match settings.tls.is_on() {
        true => settings.tls_addresses(ipv6),
        false => settings.plain_addresses(ipv6),
    };
    on_each(proxied_ports(settings), addresses)
}

/// The listeners for the authority of `tls.acme`; none if a port for plain HTTP serves it.
pub fn challenge_listeners(input: &Input) -> impl Iterator<Item = SocketAddr> + use<> {
    let settings = &input.settings;
    let port = settings.has_challenge_port().then_some(CHALLENGE_PORT);
    let addresses = settings.tls_addresses(input.facts.ipv6);
    on_each(port.into_iter().collect(), addresses)
}

/// A file with listeners for plain HTTP.
pub(super) fn plain_lines(
    input: &Input,
    addresses: impl Iterator<Item = SocketAddr>,
) -> Result<String> {
    let listen = Listen {
        listens: addresses
            .map(|address| queued(input, line(address, "")))
            .collect(),
        http2: false,
    };
    Ok(listen.render()?)
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
    match tls.is_on() {
        true if tls.port == tls.federation_port => vec![tls.port.number()],
        true => vec![tls.port.number(), tls.federation_port.number()],
        false => Vec::new(),
    }
}

/// The ports that expect the PROXY protocol.
pub fn proxied_ports(settings: &Settings) -> Vec<u16> {
    let ports = settings.nginx.proxy_protocol_ports.iter();
    ports.map(|port| port.number()).collect()
}

fn line(address: SocketAddr, options: &str) -> String {
    match address {
        SocketAddr::V4(_) => format!("{address}{options}"),
        SocketAddr::V6(_) => format!("{address} ipv6only=on{options}"),
    }
}
