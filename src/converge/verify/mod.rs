//! Verification: whether what runs is what was planned, asked of the processes themselves.

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

/// One thing that is looked at.
pub struct Probe {
    pub name: &'static str,
    /// The question has to be answered before the instant.
    ask: Ask,
}

type Ask = fn(&Host, &Expected, Instant) -> Result<String>;

const fn probe_of(name: &'static str, ask: Ask) -> Probe {
    Probe { name, ask }
}

/// All of them. Each says in a few words what it saw.
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

/// Asks everything once; what a probe saw, or what is wrong.
pub fn probe<'a>(
    host: &'a Host,
    expected: &'a Expected,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    round(host, expected, Instant::now() + PATIENCE)
}

/// Asks everything once. What is not answered at the end is wrong.
fn round<'a>(
    host: &'a Host,
    expected: &'a Expected,
    end: Instant,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    PROBES
        .iter()
        .map(move |probe| (probe.name, (probe.ask)(host, expected, end)))
}

/// How long a deployment may take to be as it should: subscriptions to Redis and nginx's new listeners come a moment
/// after the jobs that bring them are done.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the last round gets beyond that: processes that answer are not to be called silent because it began late.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// Fails with everything that is still wrong when patience ends.
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
