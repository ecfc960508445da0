//! A comparison of the routes with the endpoints of the installed Synapse.

use super::Expected;
use crate::failure::Failure;
use crate::host::Host;
use crate::topology::RoutingTable;
use crate::topology::routes::MAIN;
use anyhow::{Result, ensure};
use std::time::Instant;

/// No route may lead to workers that do not serve its requests. Unlike the probe of routes, this one sees endpoints that
/// need an option, and endpoints that workers serve and that go to the main process.
pub(super) fn endpoints(host: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some(table) = expected
        .routes
        .as_ref()
        .filter(|table| leads_to_workers(table))
    else {
        return Ok("not used".to_owned());
    };
    let Some(number) = Host::current() else {
        return Ok("not compared: no generation is in use".to_owned());
    };
    let (state, _) = Host::generation(number)?;
    let time = end.saturating_duration_since(Instant::now());
    let differences = match host.differences(&state, time) {
        Ok(differences) => differences,
        // Synapse may have changed what the question relies on. The probe of routes does not need the answer.
        Err(error) => return Ok(format!("not compared: {error:#}")),
    };
    let lost = table
        .routes
        .iter()
        .filter(|route| route.upstream != MAIN && differences.unserved.contains(route.pattern));
    let lost: Vec<&str> = lost.map(|route| route.pattern).collect();
    ensure!(
        lost.is_empty(),
        Failure::failed(format!(
            "nginx sends {} to workers, which do not serve it in this release of Synapse",
            lost.join(", ")
        ))
        .help("synapse-workers install")
    );
    Ok(differences
        .note()
        .unwrap_or_else(|| "the routes are those of this Synapse".to_owned()))
}

fn leads_to_workers(table: &RoutingTable) -> bool {
    table.routes.iter().any(|route| route.upstream != MAIN)
}
