//! What the host has, gathered once at the beginning of a command.

use super::accounts::Accounts;
use super::certificate::Pair;
use super::postgres;
use super::python::MissingPackage;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, Secret as Value};
use crate::state::host_facts::CoturnBuild;
use crate::state::host_facts::{Exporters, HostFacts, Installed};
use crate::state::paths;
use crate::state::ports::BoundPort;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

/// The host as the checks before an installation see it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Runs as root.
    pub root: bool,
    /// Booted with systemd (sd_booted(3)).
    pub systemd: bool,
    /// This program as units run it, where that is not the one of its package.
    pub program: Option<PathBuf>,
    /// This program, where another account could replace it and there is no other for units to run.
    pub replaceable: Option<PathBuf>,
    /// Synapse as the host has it.
    pub synapse: Option<Installed>,
    /// The Python that has, or will have, Synapse.
    pub python: PathBuf,
    /// Programs that are missing, by the name that the table of programs has for them.
    pub missing: Vec<&'static str>,
    /// `redis-server` or `valkey-server`, whichever is there.
    pub redis: Option<&'static str>,
    /// The exporters that are there, by the names they have here.
    pub exporters: Exporters,
    /// Major and minor version of nginx, where it is there.
    pub nginx: Option<(u32, u32)>,
    /// What coturn can do, where it is there.
    pub coturn: Option<CoturnBuild>,
    /// Whether Grafana is there and takes provisioned files.
    pub grafana: bool,
    pub jemalloc: bool,
    /// Whether the program that starts Synapse on sockets of systemd is missing.
    pub lacks_launcher: bool,
    /// The command that installs packages here.
    pub packages: Option<PackageManager>,
    /// Ports that our units shall bind and that somebody else holds.
    pub taken: Vec<BoundPort>,
    /// Certificate and key of the settings, and what is wrong with them.
    pub certificate: Option<(Pair, Option<Failure>)>,
    /// Whether the kernel speaks IPv6.
    pub ipv6: bool,
    /// Whose the directory of nginx's socket for another proxy is, where it exists.
    pub socket_owner: Option<String>,
    /// The kind of processor, as Rust calls it.
    pub processor: &'static str,
    /// Whose the directory of the media store is, where it exists.
    pub media_owner: Option<String>,
    /// Why PostgreSQL cannot be asked, or what it says; `None` where it is not needed.
    pub postgres: Option<Result<postgres::Postgres, String>>,
    /// The port of the host's own PostgreSQL.
    pub postgres_port: u16,
    /// Why a Redis of the administrator's cannot be asked; `None` where there is none.
    pub redis_elsewhere: Option<Result<(), String>>,
    /// What the Synapse of the host requires for these settings and does not find.
    pub lacking: Vec<MissingPackage>,
    /// Whose the Python of that Synapse is, where it is not root's.
    pub python_owner: Option<String>,
    /// Password files that hold no password, by the secret's name, and why.
    pub unusable: Vec<(&'static str, String)>,
    /// Whether the database of the settings holds a Synapse already.
    pub database_used: bool,
    /// The user that Synapse runs as.
    pub user: String,
    /// That user and its group, as far as they exist.
    pub accounts: Accounts,
    /// Secrets that are given, by name.
    pub given: BTreeMap<&'static str, Source>,
    /// Secrets that are in their directory already.
    pub kept: BTreeSet<String>,
    /// The address of this host's default route.
    pub address: Option<IpAddr>,
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// In a file of the administrator's.
    File(PathBuf),
    /// Given in the environment.
    Given(Value),
}

/// How packages get onto this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PackageManager {
    Apt,
    Dnf,
}

/// What the gathering has to look at.
pub struct Scope<'a> {
    pub settings: &'a Settings,
    pub workers: bool,
    /// The units that shall run.
    pub units: BTreeSet<String>,
    pub local_database: bool,
    /// The database that shall serve.
    pub database: DatabaseKind,
    /// The database there is the one that this program made.
    pub database_is_ours: bool,
    /// The ports that units shall bind.
    pub ports: Vec<BoundPort>,
    /// The ports that our running units hold.
    pub held: Vec<BoundPort>,
}

impl Scope<'_> {
    /// Whether this unit shall run.
    pub fn runs(&self, unit: &str) -> bool {
        self.units.contains(unit)
    }
}

impl Facts {
    /// PostgreSQL, where it answers.
    pub fn answering_postgres(&self) -> Option<&postgres::Postgres> {
        self.postgres.as_ref()?.as_ref().ok()
    }

    /// What rendering has to know of them.
    pub fn for_rendering(&self) -> HostFacts {
        let default = HostFacts::default();
        HostFacts {
            program: self.program.clone().unwrap_or(default.program),
            synapse: self
                .synapse
                .clone()
                .filter(|found| !paths::is_our_python(&found.python)),
            redis: self.redis.map_or(default.redis, str::to_owned),
            exporters: self.exporters.clone(),
            grafana: self.grafana,
            nginx: self.nginx.unwrap_or(default.nginx),
            coturn: self.coturn.unwrap_or_default(),
            jemalloc: self.jemalloc,
            secrets: self.kept.clone(),
            address: self.address,
            user_group: self.accounts.user_group.clone(),
            certificate: self.certificate_places(),
        }
    }

    /// Where certificate and key are, links resolved.
    fn certificate_places(&self) -> Vec<PathBuf> {
        let pair = self.certificate.iter();
        pair.flat_map(|(pair, _)| [&pair.certificate, &pair.key])
            .filter_map(|path| path.canonicalize().ok())
            .collect()
    }
}
