//! Probes of nginx: whether it answers, with the expected configuration and certificate.

use super::{Entrypoint, Expected};
use crate::deployment::endpoints::Endpoint;
use crate::host::{self, Host, Peer};
use crate::state::nginx_fingerprint::{self, FINGERPRINT_PATH, reported};
use crate::state::paths;
use crate::state::units;
use anyhow::{Context, Result, bail, ensure};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// The address at which this host reaches a listener: loopback for an unspecified address.
fn loopback_if_unspecified(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(ip, address.port())
}

/// A request that Synapse answers without a database.
const VERSIONS: &str = "/_matrix/client/versions";

/// The address or path of an entrypoint, and the status of its answer; no status with TLS, the PROXY protocol and the port for
/// the authority of the certificate, where
/// only the connection is tried: nginx answers only trusted proxies over the latter. The plain entrypoints cover the answer of nginx, and the certificate has a probe of its own.
fn ask(entrypoint: &Entrypoint, end: Instant) -> Result<(String, Option<u16>)> {
    let (peer, name) = match entrypoint {
        Entrypoint::Plain(address) => {
            let address = loopback_if_unspecified(*address);
            (Peer::Address(address), address.to_string())
        }
        Entrypoint::Socket(path) => (Peer::At(Endpoint::Socket(path.clone())), path.clone()),
        Entrypoint::Tls(address)
        | Entrypoint::Proxied(address)
        | Entrypoint::Challenge(address) => {
            let address = loopback_if_unspecified(*address);
            host::reachable(address, end)?;
            return Ok((address.to_string(), None));
        }
    };
    Ok((name, Some(host::status(&peer, VERSIONS, end)?)))
}

/// Whether nginx answers at every entrypoint, with whatever status.
pub fn nginx_answers(expected: &Expected, end: Instant) -> bool {
    let mut entrypoints = expected.entrypoints.iter();
    entrypoints.all(|entrypoint| ask(entrypoint, end).is_ok())
}

pub(super) fn answers(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let mut seen = Vec::new();
    for entrypoint in &expected.entrypoints {
        let (name, status) = ask(entrypoint, end)?;
        if let Some(status) = status.filter(|status| *status != 200) {
            bail!("{name} answers {status} for {VERSIONS}");
        }
        seen.push(name);
    }
    Ok(format!("{} answers", seen.join(" and ")))
}

/// When nginx cannot load a new configuration, it keeps the old one and only logs that to the journal. So it serves the
/// fingerprint of its configuration, which must equal that of the files. It serves it to loopback addresses only; if
/// nginx does not listen on one, the configuration is unknown.
pub(super) fn files(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let plain = expected
        .entrypoints
        .iter()
        .filter_map(|entrypoint| match entrypoint {
            Entrypoint::Plain(address) => Some(loopback_if_unspecified(*address)),
            Entrypoint::Tls(_)
            | Entrypoint::Proxied(_)
            | Entrypoint::Challenge(_)
            | Entrypoint::Socket(_) => None,
        });
    let Some(address) = plain.into_iter().find(|address| address.ip().is_loopback()) else {
        return Ok("unknown: nginx listens on no loopback address".to_owned());
    };
    let read = |name: &str| {
        let path = format!("{}/nginx/{name}", paths::CURRENT);
        host::read_text(&path)?.with_context(|| format!("{path} is missing"))
    };
    let there = nginx_fingerprint::fingerprint(&read("nginx.conf")?, &read("listen.conf")?);
    let answer = host::get_as_host(&Peer::Address(address), FINGERPRINT_PATH, end)?;
    ensure!(
        reported(&answer.body) == Some(&there),
        "nginx runs another configuration than {}/nginx\n    see: journalctl -u {unit}\n    \
         help: systemctl reload {unit}; if the files were modified, synapse-workers install",
        paths::CURRENT,
        unit = units::NGINX
    );
    Ok(format!("those of {}/nginx", paths::CURRENT))
}

pub(super) fn certificate(_: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let Some((pair, units)) = &expected.certificate else {
        return Ok("not used".to_owned());
    };
    for unit in units {
        ensure!(
            pair.is_installed_for(unit)?,
            "{unit} does not have the certificate of the settings\n    see: journalctl -u {}",
            units::CERTIFICATE_SERVICE
        );
    }
    Ok(format!("with {}", units.join(" and ")))
}
