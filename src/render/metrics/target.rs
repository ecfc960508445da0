//! A target of Prometheus.

use std::net::SocketAddr;

/// A Prometheus target.
pub struct Target {
    /// The name in messages and labels: a process of Synapse, or a job.
    pub name: String,
    /// Where it listens: a port on 127.0.0.1, or on the address of another host.
    pub address: SocketAddr,
    /// The path of the metrics.
    pub path: String,
    /// The labels `job` and `index` of a process of Synapse.
    pub(in crate::render) process: Option<(String, u16)>,
    /// The label `host`; `None` if there is one host.
    pub(in crate::render) host: Option<String>,
}
