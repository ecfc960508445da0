//! Verification: probes of the running processes that compare them with the plan.

mod database;
mod endpoints;
mod expected;
mod leftovers;
mod mas;
mod processes;
mod promises;
mod proxy;
mod replication;
mod routes;

pub use expected::{Entrypoint, Expected};
pub use proxy::nginx_answers;

use crate::host::redis::Server;
use crate::host::{Host, postgres};
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// One probe: a question about the running server.
pub struct Probe {
    /// The word that `verify` prints before the answer; `probe` in its JSON.
    pub name: &'static str,
    /// The function that asks the question. It returns before this instant.
    run: Run,
}

type Run = fn(&Host, &Expected, Instant) -> Result<String>;

const fn probe_of(name: &'static str, run: Run) -> Probe {
    Probe { name, run }
}

/// All probes. Each returns a short description of its result.
pub static PROBES: &[Probe] = &[
    probe_of("units", processes::units),
    probe_of("promises", promises::promises),
    probe_of("leftovers", leftovers::leftovers),
    probe_of("health", processes::health),
    probe_of("redis", replication::subscribers),
    probe_of("replication", replication::moves),
    probe_of("database", database::answers),
    probe_of("connections", database::connections),
    probe_of("nginx", proxy::answers),
    probe_of("nginx-files", proxy::files),
    probe_of("certificate", proxy::certificate),
    probe_of("metrics", processes::metrics),
    probe_of("routes", routes::routes),
    probe_of("endpoints", endpoints::endpoints),
    probe_of("mas", mas::answers),
];

/// The servers that Synapse needs and that no unit of this program runs, each with its answer to one question:
/// PostgreSQL, and an external Redis.
pub fn servers(expected: &Expected, end: Instant) -> Vec<(&'static str, Result<()>)> {
    let database = expected.database.as_ref();
    let database = database.map(|access| ("PostgreSQL", postgres::reachable(access)));
    let redis = expected.redis.as_ref().filter(|it| **it != Server::Own);
    let redis = redis.map(|server| ("Redis", server.ask(&["PING"], end).map(drop)));
    database.into_iter().chain(redis).collect()
}

/// Runs every probe once and returns its answer or its failure.
pub fn probe<'a>(
    host: &'a Host,
    expected: &'a Expected,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    round(host, expected, Instant::now() + VERIFY_TIMEOUT)
}

/// Runs every probe once. An answer that is missing at `end` is a failure.
fn round<'a>(
    host: &'a Host,
    expected: &'a Expected,
    end: Instant,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    PROBES
        .iter()
        .map(move |probe| (probe.name, (probe.run)(host, expected, end)))
}

/// The timeout of verification: subscriptions to Redis and new listeners of nginx appear shortly after the jobs that
/// start them are done.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(20);

/// The additional time of the last round, so that processes which do answer do not fail because it started late.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Repeats the probes until all succeed. Fails at the timeout with the probes that still fail.
pub fn verify(host: &Host, expected: &Expected) -> Result<()> {
    if endpoints::has_workers(expected) {
        // The time of its answer does not count.
        let _ = endpoints::ask(host, expected);
    }
    let started = Instant::now();
    let end = started + VERIFY_TIMEOUT + LAST_ROUND;
    let mut failures = failures_of(host, expected, end);
    while !failures.is_empty() && started.elapsed() < VERIFY_TIMEOUT {
        std::thread::sleep(Duration::from_millis(200));
        failures = failures_of(host, expected, end);
    }
    ensure!(
        failures.is_empty(),
        "verification failed\n  {}",
        failures.join("\n  ")
    );
    Ok(())
}

fn failures_of(host: &Host, expected: &Expected, end: Instant) -> Vec<String> {
    round(host, expected, end)
        .filter_map(|(name, result)| Some(format!("{name}: {:#}", result.err()?)))
        .collect()
}
