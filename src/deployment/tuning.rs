//! The parameters of PostgreSQL that follow from the host and its workers: one row for each.
//!
//! Sources: PostgreSQL's manual, chapter 19, and Synapse's docs/postgres.md, "Tuning Postgres", which names the
//! parameters for memory.

use super::Deployment;
use crate::settings::types::{Auto, DatabaseKind};
use crate::state::HostSize;
use crate::state::cluster::{Cluster, number};
use crate::state::host_size::{GIB, MIB, show_memory};
use std::fmt::Write;

/// One parameter.
struct Row {
    name: &'static str,
    /// The source of its value.
    reason: &'static str,
    /// `None` if PostgreSQL's default fits.
    value: fn(&Tuned) -> Option<String>,
}

/// The quantities that the values follow from.
struct Tuned {
    memory: u64,
    processes: u64,
    /// The connections of each process.
    pool: u64,
    solid_state: bool,
}

/// The number of connections beside those of Synapse's processes: reserved ones, exporters, backups.
const OTHERS: u64 = 10;
/// From this much memory on, more does not help: the kernel caches the same files.
const MOST_BUFFERS: u64 = 8 * GIB;

static ROWS: [Row; 7] = [
    Row {
        name: "shared_buffers",
        reason: "a quarter of the memory, at most 8 GiB (PostgreSQL's manual, 19.4.1)",
        value: |at| above(shared_buffers(at.memory), 128),
    },
    Row {
        name: "effective_cache_size",
        reason: "half of the memory, for the caches of PostgreSQL and of the kernel together (19.7.2)",
        value: |at| above(at.memory / 2, 0),
    },
    Row {
        name: "max_connections",
        reason: "the pools of all processes, and 10 for others",
        value: |at| {
            let needed = at.processes * at.pool + OTHERS;
            (needed > 100).then(|| needed.next_multiple_of(50).to_string())
        },
    },
    Row {
        name: "work_mem",
        reason: "sorts in memory; each query may take a few times as much (19.4.1)",
        value: |at| step(at.memory, &[(4, "8MB"), (8, "16MB"), (16, "32MB")]),
    },
    Row {
        name: "maintenance_work_mem",
        reason: "a 32nd of the memory, for vacuum and new indices (19.4.1)",
        value: |at| above((at.memory / 32).min(GIB), 64),
    },
    Row {
        name: "random_page_cost",
        reason: "a disk without moving parts reads at random as fast as in sequence (19.7.2)",
        value: |at| at.solid_state.then(|| "1.1".to_owned()),
    },
    Row {
        name: "max_wal_size",
        reason: "fewer checkpoints, at the cost of this much disk space (19.5.2)",
        value: |at| step(at.memory, &[(8, "2GB"), (16, "4GB")]),
    },
];

/// The `shared_buffers` for this much memory, both in bytes.
pub fn shared_buffers(memory: u64) -> u64 {
    (memory / 4).min(MOST_BUFFERS)
}

/// A size in whole MiB, in PostgreSQL's notation, if it is above this number of MiB.
fn above(bytes: u64, least: u64) -> Option<String> {
    let mebibytes = bytes / MIB;
    (mebibytes > least).then(|| match mebibytes % 1024 {
        0 => format!("{}GB", mebibytes / 1024),
        _ => format!("{mebibytes}MB"),
    })
}

/// The value of the last step that the memory, in GiB, reaches.
fn step(memory: u64, steps: &[(u64, &str)]) -> Option<String> {
    let reached = steps.iter().rev().find(|(from, _)| from * GIB <= memory)?;
    Some(reached.1.to_owned())
}

/// A parameter with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value, in PostgreSQL's notation.
    pub value: String,
    /// The source of the value.
    pub reason: &'static str,
}

impl Parameter {
    /// Whether PostgreSQL uses this value.
    pub fn is_used(&self, cluster: &Cluster) -> bool {
        let current = cluster.current.get(self.name);
        let wanted = number(&self.value, "");
        current.is_some_and(|current| number(current, "") == wanted)
    }
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}", self.name, self.value)
    }
}

/// The names of all parameters that may be tuned.
pub fn names() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|row| row.name)
}

impl Deployment {
    /// The parameters for a cluster on a host of this size. Those that the administrator has set are not among them.
    pub fn tuning(&self, size: &HostSize, cluster: &Cluster) -> Vec<Parameter> {
        let tuned = Tuned {
            memory: size.nominal_memory(),
            processes: self.topology.workers.len() as u64 + 1,
            pool: match self.settings.database.cp_max {
                Auto::Set(number) => number.get().into(),
                Auto::Auto => 4,
            },
            solid_state: cluster.solid_state,
        };
        let rows = ROWS.iter().filter(|row| !cluster.kept.contains(row.name));
        rows.filter_map(|row| {
            Some(Parameter {
                name: row.name,
                value: (row.value)(&tuned)?,
                reason: row.reason,
            })
        })
        .collect()
    }

    /// The path and the text of the file with parameters of PostgreSQL; `None` unless the settings and the cluster allow it.
    pub fn parameters_file(&self, size: &HostSize, cluster: &Cluster) -> Option<(String, String)> {
        let tunes = self.settings.database.tune && self.database() == DatabaseKind::Local;
        let place = cluster.debian.as_ref()?;
        let tuned = tunes.then(|| self.tuned(size, cluster));
        let listening = self.missing_address(cluster).map(|value| {
            format!(
                "# Generated by synapse-workers; the processes of Synapse on other hosts connect to this address.\n\
                 listen_addresses = '{value}'"
            )
        });
        let parts: Vec<String> = tuned.into_iter().chain(listening).collect();
        (!parts.is_empty()).then(|| (place.file(), parts.join("\n")))
    }

    /// The parameters that follow from the host, with their reasons.
    fn tuned(&self, size: &HostSize, cluster: &Cluster) -> String {
        let mut text = format!(
            "# Generated by synapse-workers for {} processes of Synapse on a host with {} of memory.\n\
             # PostgreSQL reads this file when it restarts. It contains no parameter that another file sets.\n",
            self.topology.workers.len() + 1,
            show_memory(size.nominal_memory()),
        );
        for parameter in self.tuning(size, cluster) {
            let _ = write!(text, "\n# {}\n{parameter}\n", parameter.reason);
        }
        text
    }
}
