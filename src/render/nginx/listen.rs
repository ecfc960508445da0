//! Where nginx listens: addresses with ports, plain or with TLS, and a Unix socket.

use super::super::Input;
use crate::deployment::endpoints::loopback;
use crate::settings::Settings;
use askama::Template;
use std::net::{IpAddr, SocketAddr};

/// The `listen` lines and the switch of HTTP/2, for the one server that there is.
#[derive(Template)]
#[template(path = "nginx/listen.conf")]
pub(super) struct Listen {
    listens: Vec<String>,
    http2: bool,
}

/// Since when HTTP/2 has a directive of its own, and `listen … http2` is complained of (nginx' CHANGES, 1.25.1).
const OWN_DIRECTIVE: (u32, u32) = (1, 25);

/// As the unit of the sockets that systemd holds has it. With nginx's own 511, many connections at once make the kernel
/// drop those of others, which are tried again only after a second.
const BACKLOG: &str = "backlog=4096";

impl Listen {
    pub fn new(input: &Input) -> Self {
        let settings = &input.settings;
        let own_directive = input.facts.nginx >= OWN_DIRECTIVE;
        let tls = if own_directive { " ssl" } else { " ssl http2" };
        let plain = plain_ports(settings).into_iter().map(|port| (port, ""));
        let secure = tls_ports(settings).into_iter().map(|port| (port, tls));
        let mut listens = Vec::new();
        for (port, options) in plain.chain(secure) {
            let addresses = settings.bind_addresses.iter();
            listens.extend(addresses.map(|address| {
                let listen = line(*address, port, options);
                match settings.sockets.held {
                    true => listen,
                    false => format!("{listen} {BACKLOG}"),
                }
            }));
        }
        let socket = settings.nginx.listen_unix_socket.as_ref();
        listens.extend(socket.map(|path| format!("unix:{}", path.as_str())));
        Self {
            listens,
            http2: own_directive && !tls_ports(settings).is_empty(),
        }
    }
}

/// What systemd holds for nginx, as it writes addresses: the same as in the configuration, which is how nginx knows
/// each again.
pub fn held(input: &Input) -> Vec<String> {
    let settings = &input.settings;
    let ports = [plain_ports(settings), tls_ports(settings)].concat();
    let places = ports.into_iter().flat_map(|port| {
        let addresses = settings.bind_addresses.iter();
        addresses.map(move |address| SocketAddr::new(*address, port).to_string())
    });
    let socket = settings.nginx.listen_unix_socket.as_ref();
    let status = super::status(input).map(|port| loopback(port).to_string());
    places
        .chain(status)
        .chain(socket.map(|path| path.as_str().to_owned()))
        .collect()
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

/// The ports of HTTPS, where there is a certificate.
pub fn tls_ports(settings: &Settings) -> Vec<u16> {
    let tls = &settings.tls;
    match tls.certificate {
        Some(_) => vec![tls.port.number(), tls.federation_port.number()],
        None => Vec::new(),
    }
}

fn line(address: IpAddr, port: u16, options: &str) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}{options}"),
        IpAddr::V6(address) => format!("[{address}]:{port} ipv6only=on{options}"),
    }
}
