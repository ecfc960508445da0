//! A sample: the load of a server between two readings.

use serde::Serialize;
use std::collections::BTreeMap;

/// The load of a server over some time.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Sample {
    /// The time between the two readings, in seconds.
    pub seconds: f64,
    /// The host.
    pub machine: MachineLoad,
    /// Every process that ran at both readings.
    pub processes: Vec<ProcessLoad>,
    /// PostgreSQL, if it was read.
    pub postgres: Option<PostgresLoad>,
    /// The connections of clients to nginx.
    pub clients: Option<u64>,
    /// The upstreams of nginx.
    pub upstreams: Vec<UpstreamLoad>,
}

/// The load of the host. Processors are numbers such as 1.5 for one and a half.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MachineLoad {
    /// The processors that programs may use.
    pub processors: f64,
    /// The processors that were busy.
    pub busy: f64,
    /// The memory in bytes.
    pub memory: u64,
    /// The memory in bytes that programs can still get.
    pub available: u64,
    /// The part of the time during which a task waited for memory, from 0 to 1.
    pub stalled: Option<f64>,
    /// The tasks that run or wait, as an average of a minute.
    pub load: f64,
}

/// The load of a process.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProcessLoad {
    /// The name of the worker, `main`, or the name of the service.
    pub name: String,
    /// The unit.
    pub unit: String,
    /// The process ID.
    pub pid: u32,
    /// The processors that it used.
    pub cpu: Option<f64>,
    /// The same with the time that its main thread waited for a processor: the part of one processor that it needs.
    pub demand: Option<f64>,
    /// Its memory in bytes.
    pub memory: Option<u64>,
    /// The part of it in bytes that no other process has.
    pub private: Option<u64>,
    /// The number of open connections to its socket or port.
    pub connections: Option<u64>,
    /// The load that Synapse counts itself; absent without metrics.
    pub synapse: Option<SynapseLoad>,
}

/// The load of a process of Synapse, by its own metrics.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SynapseLoad {
    /// Requests a second.
    pub requests: f64,
    /// Answers a second with a status of 500 and above.
    pub errors: f64,
    /// The time in seconds that 99 of 100 rounds of the event loop did not exceed, by the buckets of the metric.
    pub lag: Option<f64>,
    /// Transactions a second.
    pub transactions: f64,
    /// The time of a transaction in seconds, on average.
    pub transaction_time: f64,
    /// The time in seconds that a transaction waited for a connection, on average.
    pub pool_wait: f64,
    /// The maximum number of connections of the pool; 0 if unknown.
    pub pool_size: f64,
    /// The processors that each kind of work used, by the servlet or the background process.
    pub work: BTreeMap<String, f64>,
    /// Lookups in caches a second.
    pub lookups: f64,
    /// The part of the lookups that found nothing, from 0 to 1.
    pub misses: f64,
    /// Values a second that were removed because their cache was full.
    pub evicted: f64,
}

/// The load of PostgreSQL.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PostgresLoad {
    /// The connections that roles other than the superuser can open.
    pub limit: u64,
    /// The connections that were open at the last reading.
    pub used: u64,
    /// The memory for its cache in bytes.
    pub buffers: u64,
    /// Committed transactions a second.
    pub commits: f64,
    /// Blocks a second that were not in its cache.
    pub reads: f64,
    /// The part of the blocks that were in its cache, from 0 to 1; absent if it needed none.
    pub hits: Option<f64>,
    /// The processors that it used; absent for a server on another host.
    pub cpu: Option<f64>,
    /// The number of connections that executed a statement, on average of the readings, by what they waited for.
    pub active: BTreeMap<String, f64>,
}

/// The load of an upstream of nginx.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpstreamLoad {
    /// Its name.
    pub name: String,
    /// Requests a second.
    pub requests: f64,
    /// Answers a second with a status of 500 and above.
    pub errors: f64,
    /// The time of an answer in seconds, on average.
    pub answer_time: f64,
    /// The requests that were in progress at a time, on average.
    pub waiting: f64,
}
