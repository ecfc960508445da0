//! The types of the table of auxiliary services, and the parts of a row.

use super::{Input, StateBuilder};
use crate::deployment::endpoints::{ServicePort, loopback};
use crate::settings::Settings;
use crate::state::accounts::Account;
use crate::state::ports::Transport;
use crate::state::services;
use anyhow::Result;
use std::net::SocketAddr;

/// An auxiliary service, as far as it depends on settings: one unit that is enabled and running while its condition
/// holds. [`services::SERVICES`] has its account and program.
pub struct Service {
    /// The name of the service, or of the timer or path unit that starts it.
    pub unit: &'static str,
    /// The condition for its existence.
    pub wanted: fn(&Input) -> bool,
    /// Adds its unit files and configuration to the desired state.
    pub(super) render: fn(&mut StateBuilder) -> Result<()>,
    /// Its directories and their required contents, as lines of tmpfiles.d. The directories are removed together with
    /// the service.
    pub(super) directories: fn(&Input) -> &'static [&'static str],
    /// The port on 127.0.0.1 that it always binds.
    pub(super) port: Option<ServicePort>,
    /// Other ports that it binds.
    pub(super) ports: &'static [Ports],
    /// The metrics that Prometheus collects from it.
    pub(super) job: Option<Job>,
}

/// Ports of a service that one setting determines.
pub(super) struct Ports {
    pub setting: &'static str,
    pub bound: fn(&Input) -> Vec<(Transport, SocketAddr)>,
}

/// A job of Prometheus for a program with metrics.
pub(super) struct Job {
    pub name: &'static str,
    pub port: ServicePort,
    pub path: &'static str,
    /// Whether the metrics are enabled.
    pub enabled: fn(&Settings) -> bool,
}

/// Values that most services have in common.
pub(super) const SERVICE: Service = Service {
    unit: "",
    wanted: |_| true,
    render: |_| Ok(()),
    directories: |_| &[],
    port: None,
    ports: &[],
    job: None,
};

/// A service whose only purpose is metrics, on a port of its own.
pub(super) const fn exporter(name: &'static str, port: ServicePort) -> Service {
    Service {
        port: Some(port),
        job: Some(job(name, port)),
        ..SERVICE
    }
}

pub(super) const fn job(name: &'static str, port: ServicePort) -> Job {
    Job {
        name,
        port,
        path: "/metrics",
        enabled: |_| true,
    }
}

impl Service {
    /// The system user that it runs as, if it has its own.
    pub fn account(&self) -> Option<Account> {
        services::service(self.unit)?.account
    }

    /// The paths of its directories.
    pub fn own_directories(&self, input: &Input) -> impl Iterator<Item = &'static str> {
        let lines = (self.directories)(input).iter();
        lines.filter_map(|line| line.strip_prefix("d ")?.split(' ').next())
    }
}

/// A TCP port on 127.0.0.1.
pub(super) fn local(port: u16) -> Vec<(Transport, SocketAddr)> {
    vec![(Transport::Tcp, loopback(port))]
}
