//! Checks of the size of this host: whether its memory, its processors and its PostgreSQL fit the workers.

use super::check::{Examined, Finding, finding, finding_if};
use crate::settings::types::DatabaseKind;
use crate::topology::{PRESETS, Preset, Topology, parse};

const MB: u64 = 1 << 20;
/// The memory of main, and of a worker, on a server without users.
const MAIN: u64 = 200 * MB;
const WORKER: u64 = 130 * MB;
/// The memory for the system, PostgreSQL with its defaults, nginx and Redis.
const OTHERS: u64 = 512 * MB;
/// The presets for two, four and eight processors have up to three processes per processor.
const PER_PROCESSOR: usize = 3;
/// PostgreSQL's default of `shared_buffers`.
const DEFAULT_BUFFERS: u64 = 128 * MB;
/// The number of workers, that of the preset medium, from which this default makes the server slow.
const MANY_WORKERS: usize = 8;

/// The memory that this many processes need at least.
fn needed(processes: usize) -> u64 {
    let workers = u64::try_from(processes.saturating_sub(1)).unwrap_or(u64::MAX);
    WORKER.saturating_mul(workers).saturating_add(MAIN + OTHERS)
}

/// The preset with the most processes that fits the host.
fn preset(at: &Examined) -> Option<&'static Preset> {
    let fits = |preset: &&Preset| {
        let workers = parse(&[preset.name]).and_then(Topology::new);
        let processes = workers.map_or(usize::MAX, |topology| topology.workers.len() + 1);
        usize::from(preset.cores) <= at.facts.processors && needed(processes) <= at.facts.memory
    };
    // Of two presets for as many processors, the first is the one for busy servers.
    let presets = PRESETS.iter().rev().filter(fits);
    presets.max_by_key(|preset| preset.cores)
}

/// The workers that fit the host.
fn cure(at: &Examined) -> String {
    match preset(at) {
        Some(preset) => format!(
            "the preset {0} fits this host: synapse-workers install --preset {0}",
            preset.name
        ),
        None => "no preset fits this host; run main only: synapse-workers install --workers \"\""
            .to_owned(),
    }
}

pub(super) fn memory(at: &Examined) -> Option<Finding> {
    let (memory, needed) = (at.facts.memory, needed(at.processes));
    finding_if(
        (1..needed).contains(&memory),
        format!(
            "{} processes of Synapse need about {} MB of memory, with PostgreSQL and the system, and this host has {} MB",
            at.processes,
            needed / MB,
            memory / MB
        ),
        cure(at),
    )
}

pub(super) fn processors(at: &Examined) -> Option<Finding> {
    let (processors, processes) = (at.facts.processors, at.processes);
    finding_if(
        (1..processes.div_ceil(PER_PROCESSOR)).contains(&processors),
        format!(
            "{processes} processes of Synapse share {processors} processors, more than {PER_PROCESSOR} each"
        ),
        cure(at),
    )
}

/// PostgreSQL's manual, 19.4.1: a quarter of the memory is a reasonable start for `shared_buffers`, and
/// `effective_cache_size` (19.7.2) includes the cache of the kernel.
pub(super) fn database(at: &Examined) -> Option<Finding> {
    let postgres = at.facts.answering_postgres()?;
    let local = at.scope.database() == DatabaseKind::Local;
    let buffers = at.facts.memory / 4 / MB;
    if !local || at.processes <= MANY_WORKERS || postgres.shared_buffers > DEFAULT_BUFFERS {
        return None;
    }
    if buffers <= DEFAULT_BUFFERS / MB {
        return None;
    }
    finding(
        format!(
            "PostgreSQL has shared_buffers of {} MB, its default, for {} processes of Synapse",
            postgres.shared_buffers / MB,
            at.processes
        ),
        format!(
            "sudo -u postgres psql -c \"alter system set shared_buffers = '{buffers}MB'\" \
             -c \"alter system set effective_cache_size = '{}MB'\" && systemctl restart postgresql",
            buffers * 2
        ),
    )
}
