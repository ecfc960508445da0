//! Verification: probes of the running processes that compare them with the plan.

mod alerts;
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

pub use expected::{Alerting, Entrypoint, Expected};
pub use proxy::nginx_answers;

use crate::host::redis::Server;
use crate::host::{Host, postgres};
use crate::parallel;
use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// One probe: a question about the running server.
pub struct Probe {
    /// The word that `verify` prints before the answer; `probe` in its JSON.
    pub name: &'static str,
    /// The function that asks the question. It returns before this instant.
    run: Run,
    /// What it measures or disturbs: probes with the same subject never run at the same time.
    subject: Option<&'static str>,
    /// Whether verification repeats it as long as another one fails: a process may end meanwhile.
    each_round: bool,
}

type Run = fn(&Host, &Expected, Instant) -> Result<String>;

const fn probe_of(name: &'static str, run: Run) -> Probe {
    Probe {
        name,
        run,
        subject: None,
        each_round: false,
    }
}

impl Probe {
    const fn of(self, subject: &'static str) -> Self {
        Self {
            subject: Some(subject),
            ..self
        }
    }

    const fn in_each_round(self) -> Self {
        Self {
            each_round: true,
            ..self
        }
    }
}

/// `redis` counts subscribers, and `replication` subscribes and gives the processes little time to answer, while `routes`
/// keeps all of them busy and `endpoints` may import Synapse.
const PROCESSES: &str = "processes";
/// `connections` counts the connections of Synapse's role, and `database` opens one.
const CONNECTIONS: &str = "connections of PostgreSQL";

/// All probes. Each returns a short description of its result.
pub static PROBES: &[Probe] = &[
    probe_of("units", processes::units).in_each_round(),
    probe_of("promises", promises::promises),
    probe_of("leftovers", leftovers::leftovers),
    probe_of("health", processes::health).in_each_round(),
    probe_of("redis", replication::subscribers).of(PROCESSES),
    probe_of("replication", replication::moves).of(PROCESSES),
    probe_of("database", database::answers).of(CONNECTIONS),
    probe_of("connections", database::connections).of(CONNECTIONS),
    probe_of("nginx", proxy::answers),
    probe_of("nginx-files", proxy::files),
    probe_of("certificate", proxy::certificate),
    probe_of("metrics", processes::metrics),
    probe_of("alerts", alerts::delivery),
    probe_of("routes", routes::routes).of(PROCESSES),
    probe_of("endpoints", endpoints::endpoints).of(PROCESSES),
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

/// Runs every probe once, most of them at the same time. Passes on the name of each with its answer or its failure, in the
/// order of the table.
pub fn probe(host: &Host, expected: &Expected, mut take: impl FnMut(&'static str, Result<String>)) {
    let probes: Vec<&Probe> = PROBES.iter().collect();
    let end = Instant::now() + VERIFY_TIMEOUT;
    round(&probes, host, expected, end, |probe, result| {
        take(probe.name, result);
    });
}

/// Runs these probes. An answer that is missing at `end` is a failure.
fn round<'a>(
    probes: &[&'a Probe],
    host: &Host,
    expected: &Expected,
    end: Instant,
    mut take: impl FnMut(&'a Probe, Result<String>),
) {
    let subjects = probes.iter().filter_map(|probe| probe.subject);
    let locks: BTreeMap<&str, Mutex<()>> = subjects.map(|it| (it, Mutex::default())).collect();
    let run = |probe: &&'a Probe| {
        let lock = probe.subject.and_then(|subject| locks.get(subject));
        let _alone = lock.map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner));
        (*probe, (probe.run)(host, expected, end))
    };
    parallel::in_order(probes, run, |(probe, answer)| take(probe, answer));
}

/// The timeout of verification: subscriptions to Redis and new listeners of nginx appear shortly after the jobs that
/// start them are done.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(20);

/// The additional time of the last round, so that processes which do answer do not fail because it started late.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// The pause before the probes that failed are repeated.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs the probes, and repeats those that fail until all have succeeded. Fails at the timeout with the probes that still
/// fail.
pub fn verify(host: &Host, expected: &Expected) -> Result<()> {
    if endpoints::has_workers(expected) {
        // The time of its answer does not count.
        let _ = endpoints::ask(host, expected);
    }
    let started = Instant::now();
    let end = started + VERIFY_TIMEOUT + LAST_ROUND;
    let mut probes: Vec<&Probe> = PROBES.iter().collect();
    loop {
        let (mut failures, mut next) = (Vec::new(), Vec::new());
        round(&probes, host, expected, end, |probe, result| {
            if let Err(error) = &result {
                failures.push(format!("{}: {error:#}", probe.name));
            }
            if result.is_err() || probe.each_round {
                next.push(probe);
            }
        });
        if failures.is_empty() {
            return Ok(());
        }
        probes = next;
        ensure!(
            started.elapsed() < VERIFY_TIMEOUT,
            "verification failed\n  {}",
            failures.join("\n  ")
        );
        std::thread::sleep(PAUSE);
    }
}
