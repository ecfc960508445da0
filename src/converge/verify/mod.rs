//! Verification: probes of the running processes that compare them with the plan.

mod database;
mod expected;
mod leftovers;
mod processes;
mod proxy;
mod replication;
mod routes;

pub use expected::{Entrypoint, Expected};

use crate::host::Host;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// One probe: a question about the running server.
pub struct Probe {
    /// The word that `verify` prints before the answer; `probe` in its JSON.
    pub name: &'static str,
    /// The function that asks the question. It has to return before the instant.
    ask: Ask,
}

type Ask = fn(&Host, &Expected, Instant) -> Result<String>;

const fn probe_of(name: &'static str, ask: Ask) -> Probe {
    Probe { name, ask }
}

/// All probes. Each returns a few words about what it found.
pub static PROBES: &[Probe] = &[
    probe_of("units", processes::units),
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
];

/// Runs every probe once and returns its answer or its failure.
pub fn probe<'a>(
    host: &'a Host,
    expected: &'a Expected,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    round(host, expected, Instant::now() + PATIENCE)
}

/// Runs every probe once. An answer that is missing at `end` is a failure.
fn round<'a>(
    host: &'a Host,
    expected: &'a Expected,
    end: Instant,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    PROBES
        .iter()
        .map(move |probe| (probe.name, (probe.ask)(host, expected, end)))
}

/// The timeout of verification: subscriptions to Redis and new listeners of nginx appear shortly after the jobs that
/// start them are done.
const PATIENCE: Duration = Duration::from_secs(20);

/// The additional time of the last round, so that processes which do answer do not fail because it started late.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Repeats the probes until all succeed. Fails with everything that is still wrong at the timeout.
///
/// # Errors
/// Names every failed probe with its answer of the last round.
pub fn verify(host: &Host, expected: &Expected) -> Result<()> {
    let begun = Instant::now();
    let end = begun + PATIENCE + LAST_ROUND;
    let mut wrong = all_wrong(host, expected, end);
    while !wrong.is_empty() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(200));
        wrong = all_wrong(host, expected, end);
    }
    ensure!(
        wrong.is_empty(),
        "verification failed\n  {}",
        wrong.join("\n  ")
    );
    Ok(())
}

fn all_wrong(host: &Host, expected: &Expected, end: Instant) -> Vec<String> {
    round(host, expected, end)
        .filter_map(|(name, result)| Some(format!("{name}: {:#}", result.err()?)))
        .collect()
}
