//! A comparison of the routes with the endpoints of the installed Synapse.

use super::Expected;
use crate::failure::Failure;
use crate::host::Host;
use crate::topology::Differences;
use crate::topology::routes::MAIN;
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// Asks Synapse, unless its answer is known. This takes seconds, and much longer on a busy host.
pub(super) fn ask<'a>(host: &Host, expected: &'a Expected) -> &'a Result<Differences, String> {
    let request = || {
        let number = Host::current().context("no generation is in use")?;
        host.differences(&Host::generation(number)?.0)
    };
    expected
        .answer
        .get_or_init(|| request().map_err(|error| format!("{error:#}")))
}

/// No route may lead to workers that do not serve its requests. Unlike the probe of routes, this one sees endpoints that
/// need an option, and endpoints that workers serve and that go to the main process.
pub(super) fn endpoints(host: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let Some(table) = expected.routes.as_ref().filter(|_| has_workers(expected)) else {
        return Ok("not used".to_owned());
    };
    let differences = match ask(host, expected) {
        Ok(differences) => differences,
        // Synapse may have changed what the question relies on. The probe of routes does not need the answer.
        Err(error) => return Ok(format!("not compared: {error}")),
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

/// Whether any request may go to a worker.
pub(super) fn has_workers(expected: &Expected) -> bool {
    let topology = expected.topology.as_ref();
    topology.is_some_and(|(topology, _)| !topology.workers.is_empty())
}
