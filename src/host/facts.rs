//! The properties of the host, gathered once at the beginning of a command.

use super::accounts::Accounts;
use super::acme::Certificate;
use super::certificate::Pair;
use super::postgres;
use super::python::MissingPackage;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::settings::types::Secret;
use crate::state::host_facts::CoturnBuild;
use crate::state::host_facts::{Exporters, HostFacts, Installed};
use crate::state::paths;
use crate::state::ports::BoundPort;
use crate::state::{Cluster, HostSize, Resource};
use crate::topology::Differences;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Deref;
use std::path::PathBuf;

/// The host as the preflight checks see it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Whether this program runs as root.
    pub root: bool,
    /// Whether the host was booted with systemd (sd_booted(3)).
    pub systemd: bool,
    /// The path of this program for units, if it is not the path in the package.
    pub program: Option<PathBuf>,
    /// The path of this program, if another account could replace it and units have no other.
    pub replaceable: Option<PathBuf>,
    /// The installed Synapse.
    pub synapse: Option<Installed>,
    /// The Python that contains Synapse, or will contain it.
    pub python: PathBuf,
    /// Major and minor version of that CPython, if it is known.
    pub python_version: Option<(u32, u32)>,
    /// The version of systemd, if processes start in a way that depends on it.
    pub systemd_version: Option<u32>,
    /// The differences of its Synapse from the routing table; `None` if it was not asked yet.
    pub differences: Option<Differences>,
    /// Missing programs, by their names in the table of programs.
    pub missing: Vec<&'static str>,
    /// `redis-server` or `valkey-server`, whichever is installed.
    pub redis: Option<&'static str>,
    /// The name of the Alertmanager program, if it is installed.
    pub alertmanager: Option<&'static str>,
    /// The program names of the exporters on this host.
    pub exporters: Exporters,
    /// Major and minor version of nginx, if it is installed.
    pub nginx: Option<(u32, u32)>,
    /// Whether the service of the distribution's nginx may stop for ours; known only if ours needs port 80.
    pub spare_nginx: bool,
    /// The features of coturn, if it is installed.
    pub coturn: Option<CoturnBuild>,
    /// Whether Grafana is installed and reads provisioned files.
    pub grafana: bool,
    /// Whether jemalloc is installed, so that units can preload it.
    pub jemalloc: bool,
    /// Whether the launcher, which starts Synapse with socket activation, is missing.
    pub lacks_launcher: bool,
    /// Whether the program that starts processes from a fork server is missing.
    pub lacks_warm_start: bool,
    /// The package manager of this host.
    pub packages: Option<PackageManager>,
    /// Ports of the desired units that another program uses.
    pub ports_in_use: Vec<BoundPort>,
    /// Certificate and key of the settings, and the result of their validation.
    pub certificate: Option<(Pair, Option<Failure>)>,
    /// The certificate of `tls.acme`; `None` without that setting, or before the first run with it.
    pub acme: Option<Certificate>,
    /// Whether the kernel supports IPv6.
    pub ipv6: bool,
    /// The file with the certificates of the authorities that this host trusts, if it has one.
    pub authorities: Option<&'static str>,
    /// Why the Matrix Authentication Service does not answer; `None` if it does, or if there is none.
    pub silent_mas: Option<String>,
    /// The owner of the directory with nginx's socket for a reverse proxy, if it exists.
    pub socket_owner: Option<String>,
    /// Why nginx cannot serve the web client of the settings; `None` if it can, or if there is none.
    pub web_root: Option<String>,
    /// Whether SELinux forbids what its policy does not allow.
    pub selinux: bool,
    /// The processor architecture, by Rust's name.
    pub processor: &'static str,
    /// The size of this host without PostgreSQL's part; see [`Facts::size`].
    pub size: HostSize,
    /// The free space in bytes of the file system with /var/lib.
    pub free_space: Option<u64>,
    /// The highest limit of open files that a process can have.
    pub open_files: Option<u64>,
    /// The owner of the media store, if it exists.
    pub media_owner: Option<String>,
    /// The state of PostgreSQL, or why it cannot be queried; `None` if it is not needed.
    pub postgres: Option<Result<postgres::Postgres, String>>,
    /// The cluster of this host that serves Synapse's database, if it answers.
    pub cluster: Option<Cluster>,
    /// Whether the file of this program that tunes that cluster exists.
    pub tuned: bool,
    /// The port of the PostgreSQL on this host.
    pub postgres_port: u16,
    /// Why an external Redis cannot be queried; `None` if there is none.
    pub external_redis: Option<Result<(), String>>,
    /// The configuration files of the adopted server.
    pub adopted_config: Vec<PathBuf>,
    /// Packages that the installed Synapse requires for these settings and that are missing.
    pub missing_packages: Vec<MissingPackage>,
    /// Damaged venvs of this program that the settings need, with the reasons.
    pub damaged: Vec<(Resource, String)>,
    /// The owner of Synapse's Python, if that is not root.
    pub python_owner: Option<String>,
    /// Password files without a valid password: the name of the secret, and the reason.
    pub unusable: Vec<(&'static str, String)>,
    /// Whether the database of the settings contains a Synapse already.
    pub database_used: bool,
    /// The user that Synapse runs as.
    pub user: String,
    /// The existing accounts of that user and its group.
    pub accounts: Accounts,
    /// Secrets that are provided, by name.
    pub provided: BTreeMap<&'static str, Source>,
    /// Secrets that exist in their directory.
    pub stored: BTreeSet<String>,
    /// The address of this host's default route.
    pub address: Option<IpAddr>,
    /// Whether the newest backup is older than the settings allow.
    pub backup_overdue: bool,
    /// Why the file with the credentials for the repository cannot be used; `None` if it can, or if there is none.
    pub backup_environment: Option<Failure>,
}

/// The source of a secret.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file of the administrator.
    File(PathBuf),
    /// A value in the environment.
    Value(Secret),
}

/// The package manager of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageManager {
    /// apt-get, on Debian and Ubuntu.
    Apt,
    /// dnf, on Fedora.
    Dnf,
}

/// The deployment, and the parts of the desired state and of the running units that gathering depends on.
pub struct Scope<'a> {
    /// The deployment that this run wants.
    pub deployment: &'a Deployment,
    /// The desired units.
    pub units: BTreeSet<String>,
    /// Whether the PostgreSQL of this host is used, or may contain a database to remove.
    pub local_database: bool,
    /// Whether this program created the existing database.
    pub database_is_ours: bool,
    /// The ports that the desired units bind.
    pub ports: Vec<BoundPort>,
    /// The ports that running units of this program use.
    pub held: Vec<BoundPort>,
}

impl Deref for Scope<'_> {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        self.deployment
    }
}

impl Scope<'_> {
    /// Whether this unit is desired.
    pub fn runs(&self, unit: &str) -> bool {
        self.units.contains(unit)
    }
}

impl Facts {
    /// PostgreSQL, if it answers.
    pub fn answering_postgres(&self) -> Option<&postgres::Postgres> {
        self.postgres.as_ref()?.as_ref().ok()
    }

    /// The size of this host, with the connections that PostgreSQL allows, if it answers.
    pub fn size(&self) -> HostSize {
        let postgres = self.answering_postgres();
        HostSize {
            connections: postgres.map_or(0, postgres::Postgres::available),
            ..self.size
        }
    }

    /// The facts that rendering depends on.
    pub fn for_rendering(&self) -> HostFacts {
        let default = HostFacts::default();
        HostFacts {
            program: self.program.clone().unwrap_or(default.program),
            synapse: self
                .synapse
                .clone()
                .filter(|found| !paths::is_our_python(&found.python)),
            python: self.python_version,
            systemd: self.systemd_version,
            unserved: self
                .differences
                .as_ref()
                .map_or(default.unserved, |found| found.unserved.clone()),
            redis: self.redis.map_or(default.redis, str::to_owned),
            alertmanager: self
                .alertmanager
                .map_or(default.alertmanager, str::to_owned),
            exporters: self.exporters.clone(),
            grafana: self.grafana,
            spare_nginx: self.spare_nginx,
            nginx: self.nginx.unwrap_or(default.nginx),
            coturn: self.coturn.unwrap_or_default(),
            jemalloc: self.jemalloc,
            ipv6: self.ipv6,
            authorities: self.authorities.map_or(default.authorities, str::to_owned),
            secrets: self.stored.clone(),
            address: self.address,
            user_group: self.accounts.user_group.clone(),
            certificate: self.certificate_places(),
            size: self.size(),
            cluster: self.cluster.clone(),
        }
    }

    /// The paths of certificate and key, with links resolved.
    fn certificate_places(&self) -> Vec<PathBuf> {
        let pair = self.certificate.iter();
        pair.flat_map(|(pair, _)| [&pair.certificate, &pair.key])
            .filter_map(|path| path.canonicalize().ok())
            .collect()
    }
}
