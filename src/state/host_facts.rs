//! Properties of the machine that rendering needs; the same facts give the same bytes on every machine.

use super::paths;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// What rendering has to know of a host, with the values of a plain Debian as default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// This program.
    pub program: PathBuf,
    /// Synapse as the host has it; `None` where our own venv has, or will have, the one that the settings name.
    pub synapse: Option<Installed>,
    /// `redis-server` or `valkey-server`.
    pub redis: String,
    /// The programs that export metrics.
    pub exporters: Exporters,
    /// Major and minor version of nginx.
    pub nginx: (u32, u32),
    /// What its coturn can do.
    pub coturn: CoturnBuild,
    /// Whether Grafana is there and takes provisioned files.
    pub grafana: bool,
    /// Whether jemalloc is there to be preloaded.
    pub jemalloc: bool,
    /// Secrets that are there already, by name.
    pub secrets: BTreeSet<String>,
    /// The address of this host's default route.
    pub address: Option<IpAddr>,
    /// The group that Synapse's user has of its own, where that is not ours.
    pub user_group: Option<String>,
    /// Where certificate and key are, links resolved; none where there are no such files.
    pub certificate: Vec<PathBuf>,
}

/// A Python that has Synapse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    pub python: PathBuf,
    pub version: String,
}

/// The names of programs that distributions call differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporters {
    pub nginx: String,
    pub redis: String,
    pub postgres: String,
}

impl Default for Exporters {
    fn default() -> Self {
        Self {
            nginx: "prometheus-nginx-exporter".to_owned(),
            redis: "prometheus-redis-exporter".to_owned(),
            postgres: "prometheus-postgres-exporter".to_owned(),
        }
    }
}

impl Default for HostFacts {
    fn default() -> Self {
        Self {
            program: PathBuf::from(paths::PROGRAM),
            synapse: None,
            redis: "redis-server".to_owned(),
            exporters: Exporters::default(),
            grafana: false,
            nginx: (1, 26),
            coturn: CoturnBuild::default(),
            jemalloc: true,
            secrets: BTreeSet::new(),
            address: None,
            user_group: None,
            certificate: Vec::new(),
        }
    }
}

/// What the coturn of a host can do; distributions build it differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoturnBuild {
    /// Tells systemd when it is ready.
    pub notifies: bool,
    /// Has metrics, and can keep them to one address.
    pub metrics: bool,
    /// Speaks TLS 1.0 and 1.1 unless told not to.
    pub old_tls: bool,
}

impl Default for CoturnBuild {
    /// Debian's.
    fn default() -> Self {
        Self {
            notifies: true,
            metrics: false,
            old_tls: true,
        }
    }
}
