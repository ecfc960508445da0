//! A probe for obsolete units, sockets and files of this program.

use super::{Entrypoint, Expected};
use crate::deployment::endpoints::Endpoint;
use crate::host::{self, Host};
use crate::state::paths;
use crate::state::units;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::time::Instant;

/// Units that systemd has loaded or starts with the target, socket files that no process of this deployment uses, and
/// unchanged files that an earlier generation put on the host.
pub(super) fn leftovers(host: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let mut left = Vec::new();
    let units: BTreeSet<String> = host.systemd.units()?.into_keys().collect();
    for unit in units.union(&host::enabled().into_iter().collect()) {
        if !expected.units.contains(unit) {
            left.push(format!(
                "unit {unit} (systemctl disable --now {unit}; systemctl reset-failed {unit})"
            ));
        }
    }
    let used = sockets(expected);
    for path in host::sockets() {
        // Twisted keeps a lock link beside its socket, which shows whether the owner is alive.
        if !used.contains(path.strip_suffix(".lock").unwrap_or(&path)) {
            left.push(format!("socket {path} (rm {path})"));
        }
    }
    for path in host::left_files(&expected.files)? {
        left.push(format!("file {path} (rm {path})"));
    }
    ensure!(left.is_empty(), "no longer needed: {}", left.join(", "));
    Ok("none".to_owned())
}

/// The socket files of all desired processes. systemd opens both sockets of every worker, whether or not it needs both.
fn sockets(expected: &Expected) -> BTreeSet<String> {
    let path = |endpoint: Endpoint| match endpoint {
        Endpoint::Socket(path) => Some(path),
        Endpoint::Port(_) | Endpoint::Address(_) => None,
    };
    let processes = expected.processes();
    let listened = expected.topology.iter().flat_map(|(_, endpoints)| {
        let both = |process: &&str| [endpoints.public(process), endpoints.replication(process)];
        processes.iter().flat_map(both)
    });
    let entrypoints = expected
        .entrypoints
        .iter()
        .filter_map(|entrypoint| match entrypoint {
            Entrypoint::Socket(path) => Some(path.clone()),
            Entrypoint::Plain(_)
            | Entrypoint::Tls(_)
            | Entrypoint::Proxied(_)
            | Entrypoint::Challenge(_) => None,
        });
    let redis = expected.units.contains(units::REDIS);
    listened
        .filter_map(path)
        .chain(entrypoints)
        .chain(redis.then(paths::redis_socket))
        .collect()
}
