//! A target of Prometheus.

use crate::deployment::endpoints::loopback;
use std::net::SocketAddr;

/// A Prometheus target.
pub struct Target {
    /// The name in messages and labels: a process of Synapse, or a job.
    pub name: String,
    /// The TCP port on the loopback address.
    pub port: u16,
    /// The path of the metrics.
    pub path: String,
    /// The labels `job` and `index` of a process of Synapse.
    pub(in crate::render) process: Option<(String, u16)>,
}

impl Target {
    pub(super) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}
