//! The sizes of a deployment on a host, and their changes.

use super::rows::{
    CP_MAX, GLOBAL_FACTOR, LOG_BURST, MEMORY_HIGH, Measured, RETENTION_SIZE, ROWS, Row,
    WORKER_CONNECTIONS,
};
use crate::deployment::Deployment;
use crate::settings::types::{Auto, MemoryLimit};
use crate::settings::value::Scalar;
use crate::state::HostSize;
use crate::state::host_size::GIB;
use std::collections::BTreeMap;

/// The sizes of a deployment on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizes {
    /// The factor of Synapse's caches, in its notation in YAML.
    pub global_factor: String,
    /// The maximum number of database connections of each process.
    pub cp_max: u32,
    /// The maximum number of connections of each nginx process.
    pub worker_connections: u32,
    /// The size of all stored metrics in bytes.
    pub retention_size: u64,
    /// The value of `MemoryHigh=`.
    pub memory_high: String,
    /// The value of `LogRateLimitBurst=`.
    pub log_burst: u32,
}

impl Deployment {
    /// The quantities of a host of this size, given by its name; `None` for the first host.
    fn measured(&self, host: Option<&str>, size: &HostSize) -> Measured {
        let connections = match self.opens_database() {
            // Not every host can ask PostgreSQL before it is open, and the limit is the same for all processes.
            true => 0,
            false => size.connections,
        };
        Measured {
            size: HostSize {
                connections,
                ..*size
            },
            processes: self.processes_on(host) as u64,
            all_processes: self.topology.workers.len() as u64 + 1,
            database: self.database(),
        }
    }

    /// The sizes on a first host of this size.
    pub fn sizes(&self, size: &HostSize) -> Sizes {
        self.sizes_on(None, size)
    }

    /// The sizes on a host of this size, given by its name; `None` for the first host.
    pub fn sizes_on(&self, host: Option<&str>, size: &HostSize) -> Sizes {
        let at = &self.measured(host, size);
        let settings = &self.settings;
        let memory_high = settings.limits.memory_high.set();
        Sizes {
            global_factor: match settings.caches.global_factor {
                Auto::Set(factor) => factor.show(),
                Auto::Auto => GLOBAL_FACTOR.text(at),
            },
            cp_max: match settings.database.cp_max {
                Auto::Set(number) => number.get(),
                Auto::Auto => CP_MAX.number(at).max(settings.database.cp_min.get()),
            },
            worker_connections: match settings.nginx.worker_connections {
                Auto::Set(number) => number.get(),
                Auto::Auto => WORKER_CONNECTIONS.number(at),
            },
            retention_size: match settings.metrics.retention_size {
                Auto::Set(size) => size.bytes(),
                Auto::Auto => RETENTION_SIZE.value(at) * GIB,
            },
            memory_high: memory_high
                .as_ref()
                .map_or_else(|| MEMORY_HIGH.text(at), MemoryLimit::show),
            log_burst: match settings.limits.log_burst {
                Auto::Set(number) => number.get(),
                Auto::Auto => LOG_BURST.number(at),
            },
        }
    }

    /// The number of files that each nginx process may have to open: one per connection, and one per body on disk.
    pub fn open_files(&self, size: &HostSize) -> u32 {
        let connections = self.sizes(size).worker_connections;
        connections.saturating_mul(2).max(65_536)
    }

    /// The sizes that this deployment derives on a host of this size, given by its name, `None` for the first host: one
    /// line each, the setting and its value.
    pub fn derived_sizes(&self, host: Option<&str>, size: &HostSize) -> String {
        let at = &self.measured(host, size);
        let rows = ROWS.iter().filter(|row| (row.is_auto)(&self.settings));
        rows.map(|row| format!("{} {}\n", row.key, row.text(at)))
            .collect()
    }

    /// Every derived size on a first host of this size, as its setting would be written, whatever the settings contain.
    pub fn derived(&self, size: &HostSize) -> Vec<(&'static Row, String)> {
        let at = &self.measured(None, size);
        ROWS.iter().map(|row| (*row, row.text(at))).collect()
    }
}

/// The differences between two texts of [`Deployment::derived_sizes`], each with its reason. A size that only one of
/// them contains is no difference: it was set, or follows now.
pub fn changes(before: &str, after: &str) -> Vec<String> {
    let sizes = |text: &str| -> BTreeMap<String, String> {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let (before, after) = (sizes(before), sizes(after));
    let changed = ROWS.iter().filter_map(|row| {
        let (old, new) = (before.get(row.key)?, after.get(row.key)?);
        (old != new).then(|| {
            format!(
                "{} changes from {old} to {new}; it follows from {}",
                row.key, row.reason
            )
        })
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_size_is_explained() {
        let before = "caches.global_factor 0.5\ndatabase.cp_max 4\nlimits.log_burst 100000\n";
        let after = "caches.global_factor 1.0\ndatabase.cp_max 4\n";
        let found = changes(before, after);
        assert_eq!(found.len(), 1, "{found:?}");
        let expected = "caches.global_factor changes from 0.5 to 1.0; it follows from the memory for each process";
        assert!(found[0].starts_with(expected), "{found:?}");
        assert_eq!(changes("", after), [""; 0]);
    }
}
