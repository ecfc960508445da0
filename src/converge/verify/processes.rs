//! Probes of units and processes: whether they are active, and whether processes answer at their endpoints.

use super::Expected;
use crate::host::{self, Host, Peer};
use crate::parallel;
use anyhow::{Result, ensure};
use std::time::Instant;

pub(super) fn units(host: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let found = host.systemd.units()?;
    let down: Vec<&str> = expected
        .units
        .iter()
        .filter(|unit| !found.get(*unit).is_some_and(|state| state.active))
        .map(String::as_str)
        .collect();
    ensure!(
        down.is_empty(),
        "not active: {}\n    see: systemctl status {}",
        down.join(", "),
        down.join(" ")
    );
    Ok(format!("{} active", expected.units.len()))
}

/// Sends one request to a program and describes the failure, if there is one.
fn failure(name: &str, peer: &Peer, path: &str, end: Instant) -> Option<String> {
    match host::status(peer, path, end) {
        Ok(200) => None,
        Ok(status) => Some(format!("{name} answers {status}")),
        Err(error) => Some(format!("{name}: {error:#}")),
    }
}

/// Probes the endpoints that nginx and other processes use: Synapse has `/health` on every listener.
pub(super) fn health(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let processes = expected.processes();
    let probe = |process: &&str| {
        let peer = expected.peer(process)?;
        failure(process, &peer, "/health", end).or_else(|| {
            let replication = expected.replication(process)?;
            failure(
                &format!("{process} (replication)"),
                &Peer::At(replication),
                "/health",
                end,
            )
        })
    };
    let answers = parallel::map(&processes, probe);
    let failures: Vec<String> = answers.into_iter().flatten().collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(format!("{} processes answer", processes.len()))
}

/// Probes every target of Prometheus, and Prometheus itself. An exporter that cannot reach its program reports that in
/// its metrics, and Prometheus in an alert.
pub(super) fn metrics(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    if expected.metrics.is_empty() {
        return Ok("not used".to_owned());
    }
    let answers = parallel::map(&expected.metrics, |target| {
        failure(
            &target.name,
            &Peer::Address(target.address),
            &target.path,
            end,
        )
    });
    let failures: Vec<String> = answers.into_iter().flatten().collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(format!("{} answer", expected.metrics.len()))
}
