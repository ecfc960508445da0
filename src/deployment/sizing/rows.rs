//! The table of sizes: one row for each. A value in the settings has precedence.
//!
//! Each row has few steps, and processes and memory are rounded before they are compared. So one more worker, or a new
//! kernel, rarely changes a size, and with it the files of running processes.

use crate::settings::Settings;
use crate::settings::types::{Auto, DatabaseKind};
use crate::state::HostSize;
use crate::state::host_size::{GIB, MIB};

/// One size.
pub struct Row {
    /// The setting that replaces it.
    pub key: &'static str,
    /// Whether the settings leave it to this table.
    pub(super) is_auto: fn(&Settings) -> bool,
    /// The quantity that it follows from, and why.
    pub reason: &'static str,
    /// The quantity that decides; `None` if it is unknown.
    measure: fn(&Measured) -> Option<u64>,
    /// The values, each with the least quantity that has it. The first quantity is 0.
    steps: &'static [(u64, u64)],
    /// The value for an unknown quantity.
    unknown: u64,
    /// The notation of the setting.
    show: fn(u64) -> String,
}

/// The quantities that the sizes follow from.
pub(super) struct Measured {
    pub size: HostSize,
    /// The processes of Synapse on the host.
    pub processes: u64,
    /// Those on all hosts, which share the connections of PostgreSQL.
    pub all_processes: u64,
    pub database: DatabaseKind,
}

/// The memory of the system, nginx and Redis, which caches of Synapse cannot use.
const SYSTEM: u64 = 512 * MIB;
/// Connections to PostgreSQL that remain for the administrator, backups and exporters.
const SPARE: u64 = 5;

/// Synapse's default of `caches.global_factor`, in tenths.
pub(super) static GLOBAL_FACTOR: Row = Row {
    key: "caches.global_factor",
    is_auto: |settings| settings.caches.global_factor == Auto::Auto,
    reason: "the memory for each process beside the system and PostgreSQL; a factor of 1 takes up to 750 MiB",
    measure: memory_per_process,
    steps: &[(0, 5), (768, 10), (2_048, 20)],
    unknown: 5,
    show: |tenths| format!("{}.{}", tenths / 10, tenths % 10),
};

pub(super) static CP_MAX: Row = Row {
    key: "database.cp_max",
    is_auto: |settings| settings.database.cp_max == Auto::Auto,
    reason: "PostgreSQL's connections for each process; more than 4 did not make a server faster",
    measure: connections_per_process,
    steps: &[(0, 1), (2, 2), (3, 3), (4, 4)],
    unknown: 4,
    show: |number| number.to_string(),
};

/// Up to 20 KiB for each connection, most of it in the buffers of the kernel.
pub(super) static WORKER_CONNECTIONS: Row = Row {
    key: "nginx.worker_connections",
    is_auto: |settings| settings.nginx.worker_connections == Auto::Auto,
    reason: "the memory of the host; a client that waits for messages takes two connections",
    measure: |at| known(at.size.nominal_memory() / GIB),
    steps: &[(0, 8_192), (4, 16_384), (16, 32_768)],
    unknown: 16_384,
    show: |number| number.to_string(),
};

pub(super) static RETENTION_SIZE: Row = Row {
    key: "metrics.retention_size",
    is_auto: |settings| settings.metrics.retention_size == Auto::Auto,
    reason: "a tenth of the file system with /var/lib, at least 1 GiB and at most 10 GiB",
    measure: |at| known(at.size.disk / GIB),
    steps: &[(0, 1), (20, 2), (50, 5), (100, 10)],
    unknown: 10,
    show: |gibibytes| format!("{gibibytes}G"),
};

/// systemd computes the bytes, so a host with more memory needs no other file.
pub(super) static MEMORY_HIGH: Row = Row {
    key: "limits.memory_high",
    is_auto: |settings| settings.limits.memory_high == Auto::Auto,
    reason: "the number of processes, so that no single one can take the memory of the others",
    measure: |at| Some(at.processes),
    steps: &[(0, 75), (2, 50), (13, 33)],
    unknown: 50,
    show: |percent| format!("{percent}%"),
};

pub(super) static LOG_BURST: Row = Row {
    key: "limits.log_burst",
    is_auto: |settings| settings.limits.log_burst == Auto::Auto,
    reason: "the number of processes, so that all of them together stay below 1,200,000 lines in 30 seconds",
    measure: |at| Some(at.processes),
    steps: &[(0, 100_000), (13, 50_000), (25, 25_000)],
    unknown: 100_000,
    show: |number| number.to_string(),
};

/// Every size.
pub static ROWS: [&Row; 6] = [
    &GLOBAL_FACTOR,
    &CP_MAX,
    &WORKER_CONNECTIONS,
    &RETENTION_SIZE,
    &MEMORY_HIGH,
    &LOG_BURST,
];

impl Row {
    pub(super) fn value(&self, at: &Measured) -> u64 {
        let Some(measure) = (self.measure)(at) else {
            return self.unknown;
        };
        let reached = self.steps.iter().rev().find(|(from, _)| *from <= measure);
        reached.map_or(self.unknown, |(_, value)| *value)
    }

    pub(super) fn number(&self, at: &Measured) -> u32 {
        u32::try_from(self.value(at)).unwrap_or(u32::MAX)
    }

    pub(super) fn text(&self, at: &Measured) -> String {
        (self.show)(self.value(at))
    }
}

fn known(quantity: u64) -> Option<u64> {
    (quantity > 0).then_some(quantity)
}

/// In MiB.
fn memory_per_process(at: &Measured) -> Option<u64> {
    let memory = known(at.size.nominal_memory())?;
    let postgres = match at.database {
        DatabaseKind::Local => memory / 4,
        _ => 0,
    };
    Some(memory.saturating_sub(SYSTEM + postgres) / rounded(at.processes) / MIB)
}

fn connections_per_process(at: &Measured) -> Option<u64> {
    let connections = known(at.size.connections.into())?;
    Some(connections.saturating_sub(SPARE) / at.all_processes.max(1))
}

/// The number of processes rounded up: each preset has room for a few more workers until the next step.
fn rounded(processes: u64) -> u64 {
    let steps = (0..10).map(|step| 6 << step);
    match processes {
        0 | 1 => 1,
        _ => steps
            .into_iter()
            .find(|step| *step >= processes)
            .unwrap_or(processes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Row as Setting;

    #[test]
    fn every_row_is_a_setting_whose_default_is_auto() {
        for row in ROWS {
            let setting = Setting::of(row.key).unwrap();
            assert_eq!(setting.default, Some("auto"), "{}", row.key);
            for (_, value) in row.steps {
                let text = (row.show)(*value);
                let written = crate::settings::value::Raw::Text(text.clone());
                // MemoryHigh= takes a share of the memory as well, which is no value of the setting.
                let valid = setting.normal(&written).is_ok() || text.ends_with('%');
                assert!(valid, "{}: {text}", row.key);
            }
        }
    }

    #[test]
    fn steps_ascend_from_zero_and_contain_the_value_for_an_unknown_host() {
        for row in ROWS {
            assert_eq!(row.steps[0].0, 0, "{}", row.key);
            assert!(row.steps.is_sorted_by(|a, b| a.0 < b.0), "{}", row.key);
            let known = row.steps.iter().any(|(_, value)| *value == row.unknown);
            assert!(known, "{}", row.key);
        }
    }

    #[test]
    fn processes_are_rounded_so_that_a_preset_can_grow() {
        let found: Vec<u64> = [1, 2, 4, 6, 7, 9, 12, 13, 23, 24, 25].map(rounded).into();
        assert_eq!(found, [1, 6, 6, 6, 12, 12, 12, 24, 24, 24, 48]);
    }
}
