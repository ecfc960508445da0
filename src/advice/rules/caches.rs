//! The rule about the caches of Synapse's processes.

use super::super::recommendation::{Change, Recommendation};
use super::super::scene::Scene;
use super::{LEAST_GAIN, percent};
use crate::state::host_size::show_memory;

/// The part of lookups that find nothing, from which caches may be too small.
const MANY_MISSES: f64 = 0.1;
/// The values a second that a process removes because a cache is full, from which they cost time.
const MANY_EVICTIONS: f64 = 5.0;
/// The memory in bytes that a factor of 1 takes in each process at most (`deployment/sizing/rows.rs`).
const MEMORY_OF_FACTOR: u64 = 750 << 20;

/// Recognizes processes that remove values from full caches and look them up again.
pub(super) fn caches(scene: &Scene) -> Vec<Recommendation> {
    let loads = scene
        .synapse()
        .filter_map(|process| Some((process, process.synapse.as_ref()?)));
    let full =
        loads.filter(|(_, load)| load.misses >= MANY_MISSES && load.evicted >= MANY_EVICTIONS);
    let Some((process, load)) = full.max_by(|a, b| a.1.evicted.total_cmp(&b.1.evicted)) else {
        return Vec::new();
    };
    if scene.is_memory_short() {
        return Vec::new();
    }
    let factor: f64 = scene.sizes.global_factor.parse().unwrap_or(0.5);
    let after = (factor * 2.0).clamp(0.5, 10.0);
    // A value that is removed is looked up once more at most, in a transaction.
    let missed = load.lookups * load.misses;
    let avoidable = (load.evicted / missed.max(f64::MIN_POSITIVE)).min(1.0);
    let database = (load.transactions * load.transaction_time).min(1.0);
    let gain = 1.0 / (1.0 - (avoidable * database).min(0.5));
    if after <= factor || gain < LEAST_GAIN {
        return Vec::new();
    }
    vec![Recommendation {
        rule: "caches",
        problem: "The caches of Synapse are too small".to_owned(),
        evidence: vec![
            format!(
                "{} of {:.0} lookups a second in {} find nothing",
                percent(load.misses),
                load.lookups,
                process.name
            ),
            format!(
                "{:.0} values a second are removed because their cache is full, with caches.global_factor {}",
                load.evicted, scene.sizes.global_factor
            ),
            format!(
                "{} of memory are available; a factor of 1 takes up to {} in each process",
                show_memory(scene.sample.machine.available),
                show_memory(MEMORY_OF_FACTOR)
            ),
        ],
        change: Change::Setting {
            key: "caches.global_factor",
            value: after.to_string(),
        },
        effect: format!(
            "up to {} of the lookups that now find nothing succeed, which saves {:.0} transactions a second in {}",
            percent(avoidable),
            missed * avoidable,
            process.name
        ),
        gain,
    }]
}
