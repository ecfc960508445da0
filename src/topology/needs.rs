//! The needs of a set of workers, and the preset that fits a host.

use super::presets::{PRESETS, Preset};
use super::{Topology, parse};
use crate::state::host_size::{HostSize, MIB, show_memory};

/// The memory of a server in bytes, as a sum over its processes.
struct Memory {
    /// The main process.
    main: u64,
    /// Each worker.
    worker: u64,
    /// The system, PostgreSQL, nginx and Redis together.
    others: u64,
}

impl Memory {
    fn of(&self, processes: usize) -> u64 {
        let workers = u64::try_from(processes.saturating_sub(1)).unwrap_or(u64::MAX);
        let workers = self.worker.saturating_mul(workers);
        workers.saturating_add(self.main + self.others)
    }
}

/// Estimated, with a reserve, from measurements on a server without users.
const AT_START: Memory = Memory {
    main: 200 * MIB,
    worker: 130 * MIB,
    others: 512 * MIB,
};

/// About twice as much: caches have filled, and the kernel has memory left for files.
const WITH_USERS: Memory = Memory {
    main: 400 * MIB,
    worker: 250 * MIB,
    others: 768 * MIB,
};

/// The presets for two, four and eight processors have up to three processes per processor.
pub const PER_PROCESSOR: usize = 3;

/// The memory in bytes without which the server does not start completely, or swaps.
pub fn memory_at_start(processes: usize) -> u64 {
    AT_START.of(processes)
}

/// The memory in bytes that a server with users should have.
pub fn memory_with_users(processes: usize) -> u64 {
    WITH_USERS.of(processes)
}

/// The number of Synapse processes of a preset, with main.
pub fn processes(preset: &Preset) -> usize {
    let topology = parse(&[preset.name]).and_then(Topology::new);
    topology.map_or(usize::MAX, |topology| topology.workers.len() + 1)
}

/// The preset that fits a host, and the reason in one sentence.
pub struct Choice {
    /// `None` if main should run alone.
    pub preset: Option<&'static Preset>,
    /// The size of the host, and the needs of the next larger preset.
    pub reason: String,
}

/// Chooses the preset with the most workers that a host of this size can run with users.
pub fn choose(size: &HostSize) -> Choice {
    let fits = |preset: &&Preset| {
        usize::from(preset.cores) <= size.processors && needed(preset) <= size.nominal_memory()
    };
    // Of two presets for as many processors, the first is the one for busy servers.
    let fitting = PRESETS.iter().rev().filter(fits);
    let preset = fitting.max_by_key(|preset| preset.cores);
    let cores = preset.map_or(0, |preset| preset.cores);
    let larger = PRESETS.iter().find(|larger| larger.cores > cores);
    let host = format!(
        "this host has {} and {} of memory",
        processors(size.processors),
        show_memory(size.nominal_memory())
    );
    let larger = larger.map_or(String::new(), |larger| {
        format!(
            "; {} needs {} and {}",
            larger.name,
            processors(larger.cores.into()),
            show_memory(needed(larger))
        )
    });
    let reason = match preset {
        Some(preset) => format!(
            "preset {}, main and {} workers: {host}{larger}",
            preset.name,
            processes(preset) - 1
        ),
        None => format!("no preset, main runs alone: {host}{larger}"),
    };
    Choice { preset, reason }
}

/// The memory in bytes that a preset needs.
pub fn needed(preset: &Preset) -> u64 {
    memory_with_users(processes(preset))
}

fn processors(number: usize) -> String {
    match number {
        1 => "1 processor".to_owned(),
        number => format!("{number} processors"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::host_size::GIB;

    fn chosen(processors: usize, memory: u64) -> String {
        choose(&HostSize {
            processors,
            memory,
            ..HostSize::default()
        })
        .reason
    }

    #[test]
    fn the_preset_and_its_reason_follow_from_processors_and_memory() {
        assert_eq!(
            chosen(2, 4 * GIB - 200 * MIB),
            "preset small, main and 3 workers: this host has 2 processors and 4 GiB of memory; medium needs 4 \
             processors and 3.1 GiB"
        );
        assert_eq!(
            chosen(1, GIB),
            "no preset, main runs alone: this host has 1 processor and 1 GiB of memory; small needs 2 processors and \
             1.9 GiB"
        );
        assert_eq!(
            chosen(16, 64 * GIB),
            "preset large, main and 22 workers: this host has 16 processors and 64 GiB of memory"
        );
    }

    #[test]
    fn a_host_of_unknown_size_gets_no_preset() {
        assert!(choose(&HostSize::default()).preset.is_none());
    }

    #[test]
    fn a_preset_that_fits_starts_without_a_warning() {
        for preset in &PRESETS {
            let processes = processes(preset);
            assert!(
                memory_at_start(processes) < needed(preset),
                "{}",
                preset.name
            );
            let least = processes.div_ceil(PER_PROCESSOR);
            assert!(least <= preset.cores.into(), "{}", preset.name);
        }
    }
}
