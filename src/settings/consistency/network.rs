//! Rules for certificates, addresses and ports.

use super::super::certificate::CHALLENGE_PORT;
use super::{Rule, Violation, violated};
use crate::settings::table::Settings;
use crate::settings::types::AbsolutePath;
use std::net::IpAddr;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let tls = &settings.tls;
        let (key, other) = match (&tls.certificate, &tls.key) {
            (Some(_), None) => ("tls.certificate", "tls.key"),
            (None, Some(_)) => ("tls.key", "tls.certificate"),
            _ => return None,
        };
        let problem = format!("`{key}` is set, but `{other}` is not");
        Some((key, problem, format!("set `{other}` too; TLS needs both")))
    },
    |settings| {
        let tls = &settings.tls;
        let paths = [("tls.certificate", &tls.certificate), ("tls.key", &tls.key)];
        let unsuitable = |path: &Option<AbsolutePath>| {
            let directory = path
                .as_ref()
                .and_then(|path| path.as_path().parent()?.to_str());
            directory.is_some_and(|directory| {
                directory.ends_with(|c: char| c == '\\' || c.is_whitespace())
            })
        };
        let (key, _) = paths.into_iter().find(|(_, path)| unsuitable(path))?;
        let problem = format!(
            "`{key}` is in a directory whose name ends with a backslash or a blank, which systemd cannot watch"
        );
        Some((key, problem, "rename the directory".to_owned()))
    },
    |settings| {
        violated(settings.bind_addresses.is_empty(), "bind_addresses", || {
            (
                "`bind_addresses` is empty, so nginx would listen on no address".to_owned(),
                "for a server that only a reverse proxy on this host reaches, set it to [\"127.0.0.1\"]".to_owned(),
            )
        })
    },
    |settings| overlap("bind_addresses", &settings.bind_addresses),
    |settings| overlap("http_bind_addresses", &settings.http_bind_addresses),
    |settings| {
        let ports = ports(settings);
        let (key, other, port) = ports.iter().enumerate().find_map(|(place, (key, port))| {
            let (other, _) = ports[..place].iter().find(|(_, before)| before == port)?;
            Some((*key, *other, *port))
        })?;
        let problem = match key {
            "tls.acme" => format!("`{other}` is {port}, at which the authority of `tls.acme` asks"),
            _ => format!("`{key}` and `{other}` are both {port}"),
        };
        Some((
            key,
            problem,
            match key {
                "tls.acme" => format!("choose another port for `{other}`"),
                _ => "choose another port for one of them".to_owned(),
            },
        ))
    },
    |settings| {
        let first = settings.tcp_ports.get();
        let last = first + TCP_PORTS - 1;
        let (key, port) = ports(settings)
            .into_iter()
            .find(|(_, port)| (first..=last).contains(port))?;
        let problem = format!(
            "`{key}` is {port}, which is in the range that `tcp_ports` reserves, {first} to {last}"
        );
        let help = format!("choose a port outside this range for `{key}`, or change `tcp_ports`");
        Some((key, problem, help))
    },
];

/// The violation of a list that contains all addresses of an IP version and also one of them: only the first of two
/// sockets can be bound.
fn overlap(key: &'static str, addresses: &[IpAddr]) -> Violation {
    let all = addresses.iter().find(|all| {
        let mut others = addresses.iter();
        all.is_unspecified()
            && others.any(|other| other != *all && other.is_ipv4() == all.is_ipv4())
    })?;
    let mut others = addresses.iter();
    let other = others.find(|other| *other != all && other.is_ipv4() == all.is_ipv4())?;
    let problem =
        format!("`{key}` contains {other}, which is already part of {all}, all addresses");
    Some((key, problem, format!("remove {other} or {all}")))
}

/// The number of ports that are reserved from `tcp_ports` on.
pub const TCP_PORTS: u32 = 12_000;

/// The TCP ports that settings name, of enabled services only.
fn ports(settings: &Settings) -> Vec<(&'static str, u32)> {
    let mut ports = vec![("http_port", settings.http_port.get())];
    let federation = settings.http_federation_port;
    ports.extend(federation.map(|port| ("http_federation_port", port.get())));
    if settings.tls.is_on() {
        ports.push(("tls.port", settings.tls.port.get()));
        // One port may serve clients and other homeservers.
        if settings.tls.federation_port != settings.tls.port {
            ports.push(("tls.federation_port", settings.tls.federation_port.get()));
        }
    }
    if settings.has_challenge_port() {
        ports.push(("tls.acme", CHALLENGE_PORT.into()));
    }
    let proxied = settings.nginx.proxy_protocol_ports.iter();
    ports.extend(proxied.map(|port| ("nginx.proxy_protocol_ports", port.get())));
    if settings.metrics.enabled {
        let own = settings.metrics.prometheus_port.get();
        ports.push(("metrics.prometheus_port", own));
        if !settings.sockets.public {
            ports.push(("metrics.port", settings.metrics.port.get()));
        }
    }
    if settings.coturn.enabled {
        ports.push(("coturn.port", settings.coturn.port.get()));
        ports.push(("coturn.tls_port", settings.coturn.tls_port.get()));
    }
    ports
}
