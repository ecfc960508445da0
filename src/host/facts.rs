//! What the host has, gathered once at the beginning of a command.

use super::{files, postgres, programs, synapse, tools};
use crate::paths;
use crate::render::HostFacts;
use crate::settings::Settings;
use crate::settings::types::Secret;
use std::net::TcpListener;
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
    /// Why the host's PostgreSQL cannot be asked, or what it says; `None` where it is not needed.
    pub postgres: Option<Result<postgres::Postgres, String>>,
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
    /// Our nginx runs, so the ports are rightly taken.
    pub nginx_runs: bool,
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
            systemd: Path::new("/run/systemd/system").is_dir(),
            python: synapse
                .as_ref()
                .map_or(default.python, |found| found.python.clone()),
            redis,
            jemalloc: jemalloc(),
            packages: package_manager(),
            taken: if scope.nginx_runs {
                Vec::new()
            } else {
                taken(settings)
            },
            postgres: scope
                .local_database
                .then(|| postgres::ask().map_err(|error| format!("{error:#}"))),
            password_source: password_source(settings),
            missing: Vec::new(),
            synapse,
        };
        facts.missing = programs::missing_programs(&facts, scope);
        facts
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
fn taken(settings: &Settings) -> Vec<String> {
    let port = settings.http_port.number();
    settings
        .bind_addresses
        .iter()
        .filter(|address| {
            TcpListener::bind((**address, port))
                .is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse)
        })
        .map(|address| format!("{address} port {port}"))
        .collect()
}
