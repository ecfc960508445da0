//! Rules about PostgreSQL and the connections to it.

use super::super::load::SynapseLoad;
use super::super::recommendation::{Change, Recommendation};
use super::super::scene::Scene;
use super::{LEAST_GAIN, milliseconds, percent};
use crate::settings::types::DatabaseKind;
use crate::state::host_size::show_memory;

/// The time in seconds that a query waits for a connection on average, from which a pool is exhausted.
const LONG_WAIT: f64 = 0.02;
/// The transactions a second of a process from which its waits count.
const BUSY_POOL: f64 = 5.0;
/// The part of blocks in PostgreSQL's cache below which the cache is too small. Its documentation has no number; on a
/// server whose recent data fits in memory it is above 99 %.
const LOW_HITS: f64 = 0.95;
/// The blocks of 8 KiB a second from outside of the cache from which they cost time.
const MANY_READS: f64 = 200.0;
/// The largest value of `database.cp_max`.
const MOST_CONNECTIONS: u32 = 100;
/// The part of the connections that remains free at least.
const SPARE: f64 = 0.1;

/// Recognizes processes whose queries wait for a connection of the pool.
pub(super) fn pool(scene: &Scene) -> Vec<Recommendation> {
    let mut waiting: Vec<(&str, &SynapseLoad)> = scene
        .synapse()
        .filter_map(|process| Some((process.name.as_str(), process.synapse.as_ref()?)))
        .filter(|(_, load)| load.pool_wait >= LONG_WAIT && load.transactions >= BUSY_POOL)
        .collect();
    waiting.sort_by(|a, b| b.1.pool_wait.total_cmp(&a.1.pool_wait));
    let Some((_, worst)) = waiting.first() else {
        return Vec::new();
    };
    let before = scene.sizes.cp_max;
    let mut after = before.saturating_mul(2).clamp(4, MOST_CONNECTIONS);
    let mut evidence: Vec<String> = waiting
        .iter()
        .take(3)
        .map(|(name, load)| {
            format!(
                "transactions of {name} wait {} for a connection and then take {}",
                milliseconds(load.pool_wait),
                milliseconds(load.transaction_time)
            )
        })
        .collect();
    if let Some(postgres) = &scene.sample.postgres {
        let processes = u64::try_from(scene.synapse().count()).unwrap_or(u64::MAX);
        let fits = (postgres.limit / processes.max(1)).saturating_sub(1);
        after = after.min(u32::try_from(fits).unwrap_or(u32::MAX));
        evidence.push(format!(
            "PostgreSQL has {} of {} connections in use; each process may open {before}",
            postgres.used, postgres.limit
        ));
    }
    // Between as many transactions that wait for more connections, and a main thread that does not keep up. Measured with
    // one connection and with four: 429 and 102 ms, 138 and 53 ms, 31 and 16 ms.
    let rest = worst.pool_wait * (f64::from(before) / f64::from(after.max(1))).sqrt();
    let time = worst.transaction_time.max(0.001);
    let gain =
        ((worst.pool_wait + time) / (rest + time)).min(f64::from(after) / f64::from(before.max(1)));
    if after <= before || gain < LEAST_GAIN {
        return Vec::new();
    }
    vec![Recommendation {
        rule: "database-pool",
        problem: "Processes wait for connections to the database".to_owned(),
        evidence,
        change: Change::Setting {
            key: "database.cp_max",
            value: after.to_string(),
        },
        effect: format!(
            "transactions wait at most {} instead of {}, and up to {gain:.1} times as many run",
            milliseconds(rest),
            milliseconds(worst.pool_wait)
        ),
        gain,
    }]
}

/// Recognizes a PostgreSQL whose statements wait for the disk.
pub(super) fn cache(scene: &Scene) -> Vec<Recommendation> {
    let Some(postgres) = &scene.sample.postgres else {
        return Vec::new();
    };
    let hits = postgres.hits.unwrap_or(1.0);
    if hits >= LOW_HITS || postgres.reads < MANY_READS {
        return Vec::new();
    }
    let all: f64 = postgres.active.values().sum();
    let disk = postgres.active.get("IO").copied().unwrap_or(0.0);
    let share = if all > 0.0 { disk / all } else { 0.0 };
    // Reading a block from the kernel's cache still copies it, which shows as processor time and not as a wait.
    let gain = 1.0 / (1.0 - share.clamp(0.1, 0.8));
    let evidence = vec![
        format!(
            "{} of the blocks are in PostgreSQL's cache of {}; it reads {:.0} blocks a second",
            percent(hits),
            show_memory(postgres.buffers),
            postgres.reads
        ),
        format!("of {all:.1} statements at a time, {disk:.1} wait for the disk"),
    ];
    let own = scene.deployment.database() == DatabaseKind::Local;
    let tuned = scene.deployment.settings.database.tune;
    let change = match own && !tuned {
        true => Change::Command(
            "synapse-workers install --tune-database, and the restart of PostgreSQL that it prints".to_owned(),
        ),
        false => Change::Outside(
            "give PostgreSQL's host more memory, and PostgreSQL a larger shared_buffers: a quarter of the memory".to_owned(),
        ),
    };
    vec![Recommendation {
        rule: "database-cache",
        problem: "PostgreSQL's cache is too small, so its statements wait for the disk".to_owned(),
        evidence,
        change,
        effect: format!(
            "statements no longer wait for the disk at best: {gain:.1} times as many run"
        ),
        gain,
    }]
}

/// Recognizes a PostgreSQL with hardly any connection left: then requests fail.
pub(super) fn connections(scene: &Scene) -> Vec<Recommendation> {
    let Some(postgres) = &scene.sample.postgres else {
        return Vec::new();
    };
    let count = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    if postgres.limit == 0 || count(postgres.used) < count(postgres.limit) * (1.0 - SPARE) {
        return Vec::new();
    }
    let wanted = postgres.limit.saturating_mul(2);
    vec![Recommendation {
        rule: "database-limit",
        problem: "PostgreSQL has hardly any connection left, and requests without one fail"
            .to_owned(),
        evidence: vec![format!(
            "{} of {} connections are open",
            postgres.used, postgres.limit
        )],
        change: Change::Outside(format!(
            "set max_connections = {wanted} in PostgreSQL's configuration and restart it, or merge idle workers"
        )),
        effect: format!(
            "{} connections are free instead of {}",
            wanted.saturating_sub(postgres.used),
            postgres.limit.saturating_sub(postgres.used)
        ),
        // Requests that fail come before those that wait.
        gain: 2.0,
    }]
}
