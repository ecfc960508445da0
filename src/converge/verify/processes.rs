//! Whether units are active, and processes answer where others reach them.

use super::Expected;
use crate::endpoints::Endpoint;
use crate::host::{self, Host, Peer};
use anyhow::{Result, ensure};

pub(super) fn units(host: &Host, expected: &Expected) -> Result<String> {
    let found = host.systemd.units()?;
    let down: Vec<&str> = expected
        .units
        .iter()
        .filter(|unit| !found.get(*unit).is_some_and(|state| state.active))
        .map(String::as_str)
        .collect();
    ensure!(
        down.is_empty(),
        "not active: {}; see: systemctl status {}",
        down.join(", "),
        down.join(" ")
    );
    Ok(format!("{} active", expected.units.len()))
}

/// What is wrong with the answer of one program to one request.
fn complaint(name: &str, peer: &Peer, path: &str) -> Option<String> {
    match host::get(peer, "GET", path) {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("{name} answers {}", answer.status)),
        Err(error) => Some(format!("{name}: {error:#}")),
    }
}

/// Where nginx reaches a process, and where other processes do: Synapse has `/health` on every listener.
pub(super) fn health(_: &Host, expected: &Expected) -> Result<String> {
    let processes = expected.processes();
    let asked = |process: &str| {
        let peer = expected.peer(process)?;
        complaint(process, &peer, "/health").or_else(|| {
            let replication = expected.replication(process)?;
            complaint(
                &format!("{process} for other processes"),
                &Peer::At(replication),
                "/health",
            )
        })
    };
    let ill: Vec<String> = processes.iter().copied().filter_map(asked).collect();
    ensure!(ill.is_empty(), "{}", ill.join("; "));
    Ok(format!("{} processes answer", processes.len()))
}

/// Everything that Prometheus asks answers, Prometheus itself included. An exporter whose program cannot be reached
/// says so in its metrics, and Prometheus in an alert.
pub(super) fn metrics(_: &Host, expected: &Expected) -> Result<String> {
    if expected.metrics.is_empty() {
        return Ok("not used".to_owned());
    }
    let asked = expected.metrics.iter().filter_map(|target| {
        let peer = Peer::At(Endpoint::Port(target.port));
        complaint(&target.name, &peer, &target.path)
    });
    let silent: Vec<String> = asked.collect();
    ensure!(silent.is_empty(), "{}", silent.join("; "));
    Ok(format!("{} answer", expected.metrics.len()))
}
