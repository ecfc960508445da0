//! Verification: probes of the running processes that compare them with the plan.

mod database;
mod endpoints;
mod expected;
mod leftovers;
mod mas;
mod processes;
mod proxy;
mod replication;
mod routes;

pub use expected::{Entrypoint, Expected};
pub use proxy::nginx_answers;

use crate::host::redis::Server;
use crate::host::{Host, postgres};
use crate::parallel;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

/// One probe: a question about the running server.
pub struct Probe {
    /// The word that `verify` prints before the answer; `probe` in its JSON.
    pub name: &'static str,
    /// The function that asks the question. It returns before this instant.
    run: Run,
    /// The server whose connections the probe counts or adds to. Probes of the same server run one after another.
    server: Option<&'static str>,
}

type Run = fn(&Host, &Expected, Instant) -> Result<String>;

const fn probe_of(name: &'static str, run: Run) -> Probe {
    Probe {
        name,
        run,
        server: None,
    }
}

impl Probe {
    const fn of_server(self, server: &'static str) -> Self {
        Self {
            server: Some(server),
            ..self
        }
    }

    /// Whether the probe runs after this one, not at the same time.
    fn follows(&self, other: &Self) -> bool {
        self.server.is_some() && self.server == other.server
    }
}

/// All probes. Each returns a short description of its result. They run at the same time; those of one server are
/// neighbours.
pub static PROBES: &[Probe] = &[
    probe_of("units", processes::units),
    probe_of("leftovers", leftovers::leftovers),
    probe_of("health", processes::health),
    probe_of("redis", replication::subscribers).of_server("Redis"),
    probe_of("replication", replication::moves).of_server("Redis"),
    probe_of("database", database::answers).of_server("PostgreSQL"),
    probe_of("connections", database::connections).of_server("PostgreSQL"),
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

/// Runs every probe once. Passes on its name with its answer or its failure, in the order of the table.
pub fn probe(host: &Host, expected: &Expected, take: impl FnMut(&'static str, Result<String>)) {
    round(host, expected, Instant::now() + VERIFY_TIMEOUT, take);
}

/// Like [`probe`]. An answer that is missing at `end` is a failure.
fn round(
    host: &Host,
    expected: &Expected,
    end: Instant,
    mut take: impl FnMut(&'static str, Result<String>),
) {
    let groups: Vec<&[Probe]> = PROBES.chunk_by(|one, next| next.follows(one)).collect();
    let run = |probe: &Probe| (probe.name, (probe.run)(host, expected, end));
    let answers = |group: &&[Probe]| group.iter().map(run).collect::<Vec<_>>();
    parallel::in_order(&groups, answers, |answers| {
        for (name, answer) in answers {
            take(name, answer);
        }
    });
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
    let mut failures = Vec::new();
    round(host, expected, end, |name, result| {
        failures.extend(result.err().map(|error| format!("{name}: {error:#}")));
    });
    failures
}
