//! Gathering the facts of this host. Nothing is changed, and nothing is sent to other hosts except queries to the
//! servers in the settings.

use super::accounts::{self, Accounts};
use super::acme;
use super::certificate::Pair;
use super::cluster::Local;
use super::facts::{Facts, PackageManager, Scope, Source};
use super::resources::damage;
use super::tools::{self, Tool};
use super::{
    backup, binding, cluster, endpoints, external, files, postgres, programs, python, size,
    spare_nginx, synapse, web_root,
};
use crate::deployment::Deployment;
use crate::deployment::secrets::{SECRETS, Secret};
use crate::failure::Failure;
use crate::parallel;
use crate::render::compressor::VERSION;
use crate::settings::Settings;
use crate::settings::types::WarmMode;
use crate::state::Resource;
use crate::state::host_facts::CoturnBuild;
use crate::state::paths;
use crate::state::ports::BoundPort;
use crate::state::units;
use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The files with the certificates of trusted authorities, of Debian and Fedora.
const AUTHORITIES: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

impl Facts {
    /// Gathers the facts on which rendering depends, and those that depend on the deployment alone.
    pub fn gather(deployment: &Deployment) -> Self {
        let settings = &deployment.settings;
        let set = settings.synapse.python.as_ref().map(|path| path.as_path());
        let venv = deployment.venv();
        let ours = || synapse::ours(&venv).filter(|_| set.is_none_or(paths::is_our_python));
        let synapse = synapse::find(set).or_else(ours);
        let python = synapse
            .as_ref()
            .map_or_else(|| venv.python(), |found| found.python.clone());
        let redis = programs::installed(units::REDIS);
        let running = std::env::current_exe().ok();
        let (program, replaceable) = match running {
            Some(path) if files::only_root_can_replace(&path) => (Some(path), None),
            // This includes a program that was replaced while it runs.
            _ if files::only_root_can_replace(Path::new(paths::PROGRAM)) => (None, None),
            running => (None, running),
        };
        let (nginx, mut facts) = parallel::both(nginx_version, || Self {
            program,
            replaceable,
            root: super::is_root(),
            systemd: booted_with_systemd(),
            differences: endpoints::recorded(&python),
            python_version: python::minor_version_of(&python),
            systemd_version: (settings.warm.mode == WarmMode::Auto)
                .then(systemd_version)
                .flatten(),
            python,
            redis,
            alertmanager: programs::installed(units::ALERTMANAGER),
            exporters: programs::exporters(),
            grafana: files::is_directory(paths::GRAFANA),
            nginx: None,
            spare_nginx: settings.needs_port_80() && spare_nginx::is_spare(),
            coturn: settings.coturn.enabled.then(coturn).flatten(),
            lacks_launcher: !files::exists(format!("{}/__main__.py", paths::LAUNCHER)),
            lacks_warm_start: !files::exists(paths::WARM_START),
            jemalloc: jemalloc(),
            packages: package_manager(),
            adopted_config: settings
                .adopt
                .config
                .iter()
                .map(|path| path.as_path().to_owned())
                .collect(),
            ports_in_use: Vec::new(),
            certificate: certificate(settings),
            acme: settings
                .tls
                .acme
                .as_ref()
                .and_then(|_| acme::certificate().ok().flatten()),
            processor: std::env::consts::ARCH,
            size: size::size(),
            free_space: size::free_space(),
            open_files: size::open_files(),
            ipv6: files::exists("/proc/net/if_inet6"),
            authorities: AUTHORITIES.iter().copied().find(|path| files::exists(path)),
            silent_mas: None,
            socket_owner: settings
                .nginx
                .listen_unix_socket
                .as_ref()
                .and_then(|path| owner(path.as_path().parent()?)),
            web_root: settings
                .nginx
                .web_root
                .as_ref()
                .and_then(|path| web_root::problem(path.as_path())),
            selinux: selinux(),
            media_owner: owner(Path::new(settings.media_store_path.as_str())),
            postgres: None,
            cluster: None,
            tuned: false,
            postgres_port: settings.database.port.number(),
            external_redis: None,
            missing_packages: synapse.as_ref().map_or_else(Vec::new, |found| {
                synapse::lacking(&found.python, deployment)
            }),
            damaged: damaged(deployment, synapse.is_none()),
            python_owner: synapse
                .as_ref()
                .and_then(|found| owner(found.python.parent()?))
                .filter(|owner| owner != crate::state::accounts::ROOT),
            unusable: Vec::new(),
            user: settings.synapse.user.to_string(),
            accounts: Accounts::gather(settings),
            provided: provided(settings),
            stored: files::names(paths::SECRETS).into_iter().collect(),
            address: default_address(),
            backup_overdue: backup::overdue(settings),
            backup_environment: settings
                .backup
                .environment_file
                .as_ref()
                .and_then(|path| backup::environment_problem(path.as_path())),
            missing: Vec::new(),
            database_used: false,
            synapse,
        });
        facts.nginx = nginx;
        facts.unusable = external::unusable(&facts);
        facts.external_redis = external::redis(&facts, deployment);
        facts.silent_mas = external::mas(settings);
        facts
    }

    /// Adds the facts that depend on the desired units, on the running ones and on the record of created resources.
    /// `local` is the PostgreSQL of this host, if the scope needs it.
    pub fn complete(&mut self, scope: &Scope, local: Option<Local>) {
        self.ports_in_use = ports_in_use(scope);
        let superuser = postgres::Access::superuser(self.postgres_port);
        if let Some(local) = local {
            self.postgres = Some(local.server);
            self.cluster = local.cluster;
            let debian = self.cluster.iter().find_map(|it| it.debian.as_ref());
            self.tuned = debian.is_some_and(|debian| files::exists(debian.file()));
        } else {
            self.postgres = external::postgres(self, scope);
        }
        let name = scope.settings.database.name.as_str();
        // Queried only if the record of created resources does not answer it.
        self.database_used = scope.local_database
            && !scope.database_is_ours
            && self.answering_postgres().is_some_and(|postgres| {
                postgres
                    .databases
                    .iter()
                    .any(|database| database.name == name)
            })
            && postgres::is_used(&superuser, name).unwrap_or(true);
        self.missing = programs::missing_programs(self, scope);
    }
}

/// Queries the PostgreSQL of this host.
pub fn local_postgres(settings: &Settings) -> Local {
    cluster::ask(&postgres::Access::superuser(
        settings.database.port.number(),
    ))
}

/// The damaged venvs among those that the deployment needs. A damaged venv with Synapse is not an installed Synapse.
fn damaged(deployment: &Deployment, lacks_synapse: bool) -> Vec<(Resource, String)> {
    let venv = lacks_synapse.then(|| Resource::Venv(deployment.venv()));
    let compressor = deployment.settings.compressor.enabled;
    let compressor = compressor.then(|| Resource::Compressor(VERSION.to_owned()));
    let venvs = venv.into_iter().chain(compressor);
    venvs
        .filter_map(|venv| Some((venv.clone(), damage(&venv)?)))
        .collect()
}

/// Whether the host was booted with systemd (sd_booted(3)).
pub fn booted_with_systemd() -> bool {
    files::is_directory("/run/systemd/system")
}

/// The secrets that the environment or a file of the administrator provides.
fn provided(settings: &Settings) -> BTreeMap<&'static str, Source> {
    let source = |secret: &Secret| match ((secret.provided)(settings), (secret.file)(settings)) {
        (Some(value), _) => Some(Source::Value(value.clone())),
        (None, Some(path)) => Some(Source::File(PathBuf::from(path.as_str()))),
        (None, None) => None,
    };
    let provided = SECRETS
        .iter()
        .filter_map(|secret| Some((secret.name, source(secret)?)));
    provided.collect()
}

/// The address of this host's default route: the kernel's source address for it. Nothing is sent.
fn default_address() -> Option<IpAddr> {
    // TEST-NET-1 and the documentation prefix (RFC 5737, RFC 3849): they use the default route and belong to no host.
    [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")]
        .iter()
        .find_map(|(own, far)| {
            let socket = UdpSocket::bind(own).ok()?;
            socket.connect(far).ok()?;
            Some(socket.local_addr().ok()?.ip())
        })
}

/// The features of this host's coturn, found by strings in its binary: without being started, coturn cannot report all
/// of them.
fn coturn() -> Option<CoturnBuild> {
    let program = files::read(tools::find("turnserver").ok()?).ok()??;
    let has = |word: &str| {
        program
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    Some(CoturnBuild {
        notifies: has("libsystemd.so"),
        metrics: has("prometheus-address"),
        old_tls: has("no-tlsv1_1"),
    })
}

/// Whether the dynamic linker finds jemalloc by its name, in the directories of Debian and Fedora.
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

/// Whether SELinux is in enforcing mode (selinux(8)).
fn selinux() -> bool {
    let mode = files::read_text("/sys/fs/selinux/enforce").ok().flatten();
    mode.is_some_and(|mode| mode.trim() == "1")
}

/// The version that `nginx -v` prints, as in `nginx version: nginx/1.26.3 (Ubuntu)`.
fn nginx_version() -> Option<(u32, u32)> {
    let output = Tool::new("nginx").args(["-v"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, version) = text.split_once("nginx/")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The number that `systemctl --version` prints, as in `systemd 257 (257.9-1~deb13u1)`.
pub(super) fn systemd_version() -> Option<u32> {
    let output = Tool::new("systemctl").args(["--version"]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(1)?.parse().ok()
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

/// nginx's validation of certificate and key, if nginx is installed.
fn certificate(settings: &Settings) -> Option<(Pair, Option<Failure>)> {
    let pair = Pair::of(settings)?;
    tools::find("nginx").ok()?;
    // The placeholder is created later.
    let created = settings.tls.acme.is_none() || files::exists(paths::ACME_PAIR);
    let problem = created.then(|| pair.validated().err().map(Failure::from));
    let problem = problem.flatten();
    Some((pair, problem))
}

/// Ports that another program uses. An address that this host does not have is left to nginx's own check, which has a
/// better message.
fn ports_in_use(scope: &Scope) -> Vec<BoundPort> {
    let in_use = |port: &BoundPort| binding::in_use(port.transport, port.address);
    let ours = |port: &BoundPort| scope.held.iter().any(|held| held.conflicts_with(port));
    let ports = scope.ports.iter();
    ports
        .filter(|port| !ours(port) && in_use(port))
        .cloned()
        .collect()
}

/// The name of a directory's owner, or its number if it has no name.
fn owner(path: &Path) -> Option<String> {
    let uid = files::metadata(path)?.uid();
    Some(accounts::name_of(uid).unwrap_or_else(|| uid.to_string()))
}
