//! Properties of the machine that rendering depends on. The same facts give the same bytes on every machine.

use super::{Cluster, HostSize, paths};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

/// The facts about a host that rendering needs. The defaults are those of a plain Debian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The path of this program.
    pub program: PathBuf,
    /// The Synapse that the host provides; `None` if this program's venv has, or will have, the version that the
    /// settings name.
    pub synapse: Option<Installed>,
    /// Major and minor version of the CPython that runs Synapse; `None` if it is unknown.
    pub python: Option<(u32, u32)>,
    /// The version of systemd; `None` if it is unknown.
    pub systemd: Option<u32>,
    /// Patterns of the routing table that workers of the Synapse do not serve, as it answered when it was asked.
    pub unserved: BTreeSet<String>,
    /// The name of the Redis program: `redis-server` or `valkey-server`.
    pub redis: String,
    /// The name of the Alertmanager program: `prometheus-alertmanager` or `alertmanager`.
    pub alertmanager: String,
    /// The names of the exporters.
    pub exporters: Exporters,
    /// Major and minor version of nginx.
    pub nginx: (u32, u32),
    /// Whether the service of the distribution's nginx may stop for ours.
    pub spare_nginx: bool,
    /// The capabilities of the host's coturn.
    pub coturn: CoturnBuild,
    /// Whether Grafana is installed and reads provisioned files.
    pub grafana: bool,
    /// Whether jemalloc is installed, so that it can be preloaded.
    pub jemalloc: bool,
    /// Whether the kernel supports IPv6.
    pub ipv6: bool,
    /// The file with the certificates of the authorities that this host trusts.
    pub authorities: String,
    /// The names of the secrets that exist already.
    pub secrets: BTreeSet<String>,
    /// The address of this host's default route.
    pub address: Option<IpAddr>,
    /// The primary group of Synapse's user, if it is not the group `synapse`.
    pub user_group: Option<String>,
    /// The paths of the certificate and its key, with symbolic links resolved; empty if there are no such files.
    pub certificate: Vec<PathBuf>,
    /// The size of the host.
    pub size: HostSize,
    /// The PostgreSQL cluster of the host, if Synapse uses it.
    pub cluster: Option<Cluster>,
}

/// A Python interpreter that has Synapse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The path of the interpreter, which units start.
    pub python: PathBuf,
    /// The version of Synapse.
    pub version: String,
}

/// The exporters, whose names differ between distributions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exporters {
    /// The program that exports the metrics of nginx.
    pub nginx: String,
    /// The program that exports the metrics of Redis.
    pub redis: String,
    /// The program that exports the metrics of PostgreSQL.
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
            python: Some((3, 13)),
            systemd: Some(257),
            unserved: BTreeSet::new(),
            redis: "redis-server".to_owned(),
            alertmanager: "prometheus-alertmanager".to_owned(),
            exporters: Exporters::default(),
            grafana: false,
            nginx: (1, 26),
            spare_nginx: false,
            coturn: CoturnBuild::default(),
            jemalloc: true,
            ipv6: true,
            authorities: "/etc/ssl/certs/ca-certificates.crt".to_owned(),
            secrets: BTreeSet::new(),
            address: None,
            user_group: None,
            certificate: Vec::new(),
            size: HostSize::default(),
            cluster: None,
        }
    }
}

/// The capabilities of a coturn. Distributions build it with different options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoturnBuild {
    /// Whether it notifies systemd when it is ready.
    pub notifies: bool,
    /// Whether it exports metrics and can restrict them to one address.
    pub metrics: bool,
    /// Whether it accepts TLS 1.0 and 1.1 unless they are disabled.
    pub old_tls: bool,
}

impl Default for CoturnBuild {
    /// The build of Debian.
    fn default() -> Self {
        Self {
            notifies: true,
            metrics: false,
            old_tls: true,
        }
    }
}
