//! What the host has, gathered once at the beginning of a command.

use super::accounts::Accounts;
use super::certificate::Pair;
use super::python::Lacking;
use super::tools::{self, Tool};
use super::{binding, elsewhere, files, postgres, programs, synapse};
use crate::failure::Failure;
use crate::paths;
use crate::plan::names;
use crate::render::coturn::Build;
use crate::render::ports::Bound;
use crate::render::{Exporters, HostFacts, Installed};
use crate::secrets::{SECRETS, Secret};
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, Secret as Value};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

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
    pub coturn: Option<Build>,
    /// Whether Grafana is there and takes provisioned files.
    pub grafana: bool,
    pub jemalloc: bool,
    /// Whether the program that starts Synapse on sockets of systemd is missing.
    pub lacks_launcher: bool,
    /// The command that installs packages here.
    pub packages: Option<PackageManager>,
    /// Ports that our units shall bind and that somebody else holds.
    pub taken: Vec<Bound>,
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
    pub lacking: Vec<Lacking>,
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
    pub ports: Vec<Bound>,
    /// The ports that our running units hold.
    pub held: Vec<Bound>,
}

impl Scope<'_> {
    /// Whether this unit shall run.
    pub fn runs(&self, unit: &str) -> bool {
        self.units.contains(unit)
    }
}

impl Facts {
    /// Looks at the host; nothing is changed.
    pub fn gather(scope: &Scope) -> Self {
        let settings = scope.settings;
        let set = settings.synapse.python.as_ref().map(|path| path.as_path());
        let version = settings.synapse.version.to_string();
        let ours = || synapse::ours(&version).filter(|_| set.is_none_or(synapse::is_ours));
        let synapse = synapse::find(set).or_else(ours);
        let redis = ["redis-server", "valkey-server"]
            .into_iter()
            .find(|program| tools::find(program).is_ok());
        let running = std::env::current_exe().ok();
        let (program, replaceable) = match running {
            Some(path) if files::only_root_can_replace(&path) => (Some(path), None),
            // Also where it was replaced while it runs.
            _ if files::only_root_can_replace(Path::new(paths::PROGRAM)) => (None, None),
            running => (None, running),
        };
        let mut facts = Self {
            program,
            replaceable,
            root: nix::unistd::geteuid().is_root(),
            systemd: booted_with_systemd(),
            python: synapse.as_ref().map_or_else(
                || paths::python(&paths::venv(&version)),
                |found| found.python.clone(),
            ),
            redis,
            exporters: programs::exporters(),
            grafana: files::is_directory(paths::GRAFANA),
            nginx: nginx_version(),
            coturn: scope.runs(names::COTURN).then(coturn).flatten(),
            lacks_launcher: !files::exists(format!("{}/__main__.py", paths::LAUNCHER)),
            jemalloc: jemalloc(),
            packages: package_manager(),
            taken: taken(scope),
            certificate: certificate(settings),
            processor: std::env::consts::ARCH,
            ipv6: files::exists("/proc/net/if_inet6"),
            socket_owner: settings
                .nginx
                .listen_unix_socket
                .as_ref()
                .and_then(|path| owner(path.as_path().parent()?)),
            media_owner: owner(Path::new(settings.media_store_path.as_str())),
            postgres: None,
            postgres_port: settings.database.port.number(),
            redis_elsewhere: None,
            lacking: synapse
                .as_ref()
                .map_or_else(Vec::new, |found| synapse::lacking(&found.python, scope)),
            python_owner: synapse
                .as_ref()
                .and_then(|found| owner(found.python.parent()?))
                .filter(|owner| owner != crate::accounts::ROOT),
            unusable: Vec::new(),
            user: settings.synapse.user.to_string(),
            accounts: Accounts::gather(settings),
            given: given(settings),
            kept: files::names(paths::SECRETS).into_iter().collect(),
            address: default_address(),
            missing: Vec::new(),
            database_used: false,
            synapse,
        };
        facts.unusable = elsewhere::unusable(&facts);
        facts.redis_elsewhere = elsewhere::redis(&facts, scope);
        let superuser = postgres::Access::superuser(facts.postgres_port);
        facts.postgres = match scope.local_database {
            true => Some(postgres::ask(&superuser).map_err(|error| format!("{error:#}"))),
            false => elsewhere::postgres(&facts, scope),
        };
        let name = settings.database.name.as_str();
        // Asked only where it is not known from the record.
        facts.database_used = scope.local_database
            && !scope.database_is_ours
            && facts.answering_postgres().is_some_and(|postgres| {
                postgres
                    .databases
                    .iter()
                    .any(|database| database.name == name)
            })
            && postgres::is_used(&superuser, name).unwrap_or(true);
        facts.missing = programs::missing_programs(&facts, scope);
        facts
    }

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
                .filter(|found| !synapse::is_ours(&found.python)),
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

/// As sd_booted(3) tells.
pub fn booted_with_systemd() -> bool {
    files::is_directory("/run/systemd/system")
}

/// What the environment or a file of the administrator's has.
fn given(settings: &Settings) -> BTreeMap<&'static str, Source> {
    let source = |secret: &Secret| match ((secret.given)(settings), (secret.file)(settings)) {
        (Some(value), _) => Some(Source::Given(value.clone())),
        (None, Some(path)) => Some(Source::File(PathBuf::from(path.as_str()))),
        (None, None) => None,
    };
    let given = SECRETS
        .iter()
        .filter_map(|secret| Some((secret.name, source(secret)?)));
    given.collect()
}

/// The address that this host has towards the internet: what the kernel would send from. Nothing is sent.
fn default_address() -> Option<IpAddr> {
    // TEST-NET-1 and the documentation prefix (RFC 5737, RFC 3849): routed by default and nobody's.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .find_map(|(own, far)| {
            let socket = UdpSocket::bind(own).ok()?;
            socket.connect(far).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
}

/// What this host's coturn was built with, by the words in its program: it has no other way to tell all of this without
/// being started.
fn coturn() -> Option<Build> {
    let program = files::read(tools::find("turnserver").ok()?).ok()??;
    let has = |word: &str| {
        program
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    Some(Build {
        notifies: has("libsystemd.so"),
        metrics: has("prometheus-address"),
        old_tls: has("no-tlsv1_1"),
    })
}

/// Whether the dynamic linker would find jemalloc by name, in the places of Debian and Fedora.
fn jemalloc() -> bool {
    ["/usr/lib", "/usr/lib64", "/lib64"]
        .iter()
        .flat_map(|lib| {
            let below = files::names(lib)
                .into_iter()
                .filter(|name| name.ends_with("-linux-gnu"));
            below
                .map(move |name| format!("{lib}/{name}"))
                .chain([(*lib).to_owned()])
        })
        .any(|directory| files::exists(format!("{directory}/libjemalloc.so.2")))
}

/// What `nginx -v` says, as in `nginx version: nginx/1.26.3 (Ubuntu)`.
fn nginx_version() -> Option<(u32, u32)> {
    let output = Tool::new("nginx").args(["-v"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, version) = text.split_once("nginx/")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn package_manager() -> Option<PackageManager> {
    if tools::find("apt-get").is_ok() {
        Some(PackageManager::Apt)
    } else if tools::find("dnf").is_ok() {
        Some(PackageManager::Dnf)
    } else {
        None
    }
}

/// What nginx says of certificate and key, where there is an nginx.
fn certificate(settings: &Settings) -> Option<(Pair, Option<Failure>)> {
    let pair = Pair::of(settings)?;
    tools::find("nginx").ok()?;
    let problem = pair.fitting().err().map(Failure::from);
    Some((pair, problem))
}

/// Ports that somebody else has. An address that this host does not have is refused by nginx's own check, with a better
/// text.
fn taken(scope: &Scope) -> Vec<Bound> {
    let in_use = |port: &Bound| binding::in_use(port.transport, port.address);
    let ours = |port: &Bound| scope.held.iter().any(|held| held.meets(port));
    let ports = scope.ports.iter();
    ports
        .filter(|port| !ours(port) && in_use(port))
        .cloned()
        .collect()
}

/// The name of a directory's owner, or the number where it has no name.
fn owner(path: &Path) -> Option<String> {
    let uid = files::metadata(path)?.uid();
    let name = users::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    Some(name.unwrap_or_else(|| uid.to_string()))
}
