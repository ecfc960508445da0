//! A reading: the counters of a running server at one moment. The difference of two readings is a [`Sample`](super::Sample).

use super::counters::{Counters, Upstream};
use std::collections::BTreeMap;
use std::time::Duration;

/// The counters of a server at one moment. A part that cannot be read is absent.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The time of the reading, from any fixed moment.
    pub at: Duration,
    /// The host.
    pub machine: Machine,
    /// Every process of this program's units.
    pub processes: Vec<Process>,
    /// PostgreSQL; `None` if it is not used, or if it does not answer.
    pub postgres: Option<Postgres>,
    /// The connections of clients to nginx (stub_status); `None` without metrics.
    pub clients: Option<u64>,
    /// nginx's requests by upstream, from the counters of its access log; empty without metrics.
    pub upstreams: BTreeMap<String, Upstream>,
}

/// The host.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The number of processors that programs may use.
    pub processors: usize,
    /// The seconds that all processors together were busy (proc_stat(5)).
    pub busy: f64,
    /// The seconds that all processors together could have been busy.
    pub time: f64,
    /// The memory in bytes (`MemTotal`, proc_meminfo(5)).
    pub memory: u64,
    /// The memory in bytes that programs can still get (`MemAvailable`).
    pub available: u64,
    /// The seconds during which a task waited for memory (`some` in /proc/pressure/memory); `None` if the kernel does
    /// not count them.
    pub stalled: Option<f64>,
    /// The tasks that run or wait for a processor or a disk, as an average of a minute (proc_loadavg(5)).
    pub load: f64,
}

/// A process of a unit.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The name of the worker, `main`, or the name of the service.
    pub name: String,
    /// The unit.
    pub unit: String,
    /// The process ID. Counters of another process are not compared.
    pub pid: u32,
    /// The seconds of processor time of all processes of the unit; `None` if they are unknown.
    pub cpu: Option<f64>,
    /// The seconds that the main thread was ready to run while no processor was free (proc_pid_schedstat).
    pub delayed: Option<f64>,
    /// The memory in bytes that the process alone has, and its share of common memory.
    pub memory: Option<u64>,
    /// The part of it in bytes that no other process has.
    pub private: Option<u64>,
    /// The number of open connections to its socket or port.
    pub connections: Option<u64>,
    /// The counters of Synapse; `None` without metrics.
    pub synapse: Option<Counters>,
}

/// PostgreSQL.
#[derive(Clone, Debug, Default)]
pub struct Postgres {
    /// The connections that roles other than the superuser can open.
    pub limit: u64,
    /// The connections that are open.
    pub used: u64,
    /// The memory for its cache of tables and indices, in bytes.
    pub buffers: u64,
    /// Blocks of Synapse's database that it found in that memory.
    pub hits: f64,
    /// Blocks of Synapse's database that it requested from the kernel.
    pub reads: f64,
    /// Committed transactions of Synapse's database.
    pub commits: f64,
    /// The seconds of processor time of each of its processes, by process ID; empty for a server on another host.
    pub cpu: BTreeMap<u32, f64>,
    /// The number of connections that execute a statement at this moment, by what they wait for (`wait_event_type`);
    /// `CPU` for those that wait for nothing.
    pub active: BTreeMap<String, u64>,
}
