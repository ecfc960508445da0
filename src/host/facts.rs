//! What the host has, gathered once at the beginning of a command.

use super::{files, postgres, programs, synapse, tools};
use crate::paths;
use crate::render::HostFacts;
use crate::settings::Settings;
use crate::settings::types::Secret;
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The host as the checks before an installation see it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Runs as root.
    pub root: bool,
    /// Booted with systemd (sd_booted(3)).
    pub systemd: bool,
    /// Synapse as the host has it.
    pub synapse: Option<synapse::Installed>,
    /// The Python that has, or will have, Synapse.
    pub python: PathBuf,
    /// Programs that are missing, by the name that the table of programs has for them.
    pub missing: Vec<&'static str>,
    /// `redis-server` or `valkey-server`, whichever is there.
    pub redis: Option<&'static str>,
    pub jemalloc: bool,
    /// The command that installs packages here.
    pub packages: Option<PackageManager>,
    /// Addresses and ports that nginx shall listen on and that somebody else holds.
    pub taken: Vec<String>,
    /// Whether the kernel speaks IPv6.
    pub ipv6: bool,
    /// Whose the directory of the media store is, where it exists.
    pub media_owner: Option<String>,
    /// Why the host's PostgreSQL cannot be asked, or what it says; `None` where it is not needed.
    pub postgres: Option<Result<postgres::Postgres, String>>,
    /// Whether the database of the settings holds a Synapse already.
    pub database_used: bool,
    pub password_source: Option<PasswordSource>,
}

/// The password of an external database and what it is for.
#[derive(Clone, Debug)]
pub struct PasswordSource {
    pub password: Password,
    pub host: String,
    pub port: String,
    pub database: String,
    pub user: String,
}

/// Where a password is.
#[derive(Clone, Debug)]
pub enum Password {
    /// In a file of the administrator's.
    File(PathBuf),
    /// Given in the environment.
    Given(Secret),
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
    pub local_database: bool,
    /// The database there is the one that this program made.
    pub database_is_ours: bool,
    /// Addresses and ports that our running nginx holds.
    pub held: Vec<(IpAddr, u16)>,
}

impl Facts {
    /// Looks at the host; nothing is changed.
    pub fn gather(scope: &Scope) -> Self {
        let settings = scope.settings;
        let synapse = synapse::find(
            settings
                .synapse
                .python
                .as_ref()
                .map(|path| Path::new(path.as_str())),
        );
        let default = HostFacts::default();
        let redis = ["redis-server", "valkey-server"]
            .into_iter()
            .find(|program| tools::find(program).is_some());
        let mut facts = Self {
            root: nix::unistd::geteuid().is_root(),
            systemd: booted_with_systemd(),
            python: synapse
                .as_ref()
                .map_or(default.python, |found| found.python.clone()),
            redis,
            jemalloc: jemalloc(),
            packages: package_manager(),
            taken: taken(scope),
            ipv6: Path::new("/proc/net/if_inet6").exists(),
            media_owner: owner(Path::new(settings.media_store_path.as_str())),
            postgres: scope
                .local_database
                .then(|| postgres::ask().map_err(|error| format!("{error:#}"))),
            password_source: password_source(settings),
            missing: Vec::new(),
            database_used: false,
            synapse,
        };
        let name = settings.database.name.as_str();
        // Asked only where it is not known from the record.
        facts.database_used = !scope.database_is_ours
            && facts.answering_postgres().is_some_and(|postgres| {
                postgres
                    .databases
                    .iter()
                    .any(|database| database.name == name)
            })
            && postgres::is_used(name).unwrap_or(true);
        facts.missing = programs::missing_programs(&facts, scope);
        facts
    }

    /// The host's PostgreSQL, where it answers.
    pub fn answering_postgres(&self) -> Option<&postgres::Postgres> {
        self.postgres.as_ref()?.as_ref().ok()
    }

    /// What rendering has to know of them.
    pub fn for_rendering(&self) -> HostFacts {
        let default = HostFacts::default();
        HostFacts {
            version: self
                .synapse
                .as_ref()
                .filter(|found| found.python != default.python)
                .map(|found| found.version.clone()),
            python: self.python.clone(),
            redis: self.redis.map_or(default.redis, str::to_owned),
            jemalloc: self.jemalloc,
            // One that was given once is kept among the secrets.
            password: self.password_source.is_some()
                || Path::new(&paths::secret("pgpass")).exists(),
        }
    }
}

/// As sd_booted(3) tells.
pub fn booted_with_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn password_source(settings: &Settings) -> Option<PasswordSource> {
    let file = settings.database.password_file.as_ref();
    let password = match (&settings.postgres_password, file) {
        (Some(secret), _) => Password::Given(secret.clone()),
        (None, Some(path)) => Password::File(PathBuf::from(path.as_str())),
        (None, None) => return None,
    };
    Some(PasswordSource {
        password,
        host: settings
            .database
            .host
            .as_ref()
            .map_or("*".to_owned(), ToString::to_string),
        port: settings.database.port.number().to_string(),
        database: settings.database.name.to_string(),
        user: settings.database.user.to_string(),
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
        .any(|directory| Path::new(&directory).join("libjemalloc.so.2").exists())
}

fn package_manager() -> Option<PackageManager> {
    if tools::find("apt-get").is_some() {
        Some(PackageManager::Apt)
    } else if tools::find("dnf").is_some() {
        Some(PackageManager::Dnf)
    } else {
        None
    }
}

/// What cannot be bound. An address that this host does not have is refused by nginx's own check, with a better text.
fn taken(scope: &Scope) -> Vec<String> {
    let port = scope.settings.http_port.number();
    let addresses = scope.settings.bind_addresses.iter();
    addresses
        .filter(|address| !scope.held.contains(&(**address, port)))
        .filter(|address| {
            TcpListener::bind((**address, port))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        })
        .map(|address| format!("{address} port {port}"))
        .collect()
}

/// The name of a directory's owner, or the number where it has no name.
fn owner(path: &Path) -> Option<String> {
    let uid = std::fs::metadata(path).ok()?.uid();
    let name = users::get_user_by_uid(uid).map(|user| user.name().to_string_lossy().into_owned());
    Some(name.unwrap_or_else(|| uid.to_string()))
}
