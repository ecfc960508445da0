//! Where things are on the host: the contract of the project with its users, in one place.

use std::path::{Path, PathBuf};

/// The administrator's settings file, unless `--settings` names another.
pub const SETTINGS: &str = "/etc/synapse-workers/settings.yaml";
/// The directory of the settings, the administrator's own Synapse options and the secrets.
pub const ETC: &str = "/etc/synapse-workers";
/// The administrator's own Synapse options, passed on untouched.
pub const HOMESERVER_D: &str = "/etc/synapse-workers/homeserver.d";
/// Secrets: generated once, kept for ever, never printed.
pub const SECRETS: &str = "/etc/synapse-workers/secrets";
/// The group of every Synapse process, whatever its user: what it has to read and nobody else may belongs to this one.
pub const GROUP: &str = "synapse";
/// What this program made on the host and `uninstall --purge` may therefore remove.
pub const MADE: &str = "/etc/synapse-workers/made.json";
/// Generations and the links to them.
pub const STATE: &str = "/var/lib/synapse-workers";
/// One complete rendered tree per generation.
pub const GENERATIONS: &str = "/var/lib/synapse-workers/generations";
/// The active generation; units read through this link only.
pub const CURRENT: &str = "/var/lib/synapse-workers/current";
/// The generation that the running processes were last brought to; behind `current` after an interrupted run.
pub const APPLIED: &str = "/var/lib/synapse-workers/applied";
/// Generations switched to since one was applied to its end, a number a line: processes may run with any of them.
pub const SWITCHED: &str = "/var/lib/synapse-workers/switched";
/// A change that goes again unless it is confirmed.
pub const TRIAL: &str = "/var/lib/synapse-workers/trial.json";
/// Touched by packages of Synapse when they change its code: processes that began before run older code.
pub const UPGRADED: &str = "/var/lib/synapse-workers/upgraded";
/// Copies of the certificate with its key, one for each service that reads it.
pub const TLS: &str = "/var/lib/synapse-workers/tls";
/// This program, where its package puts it.
pub const PROGRAM: &str = "/usr/bin/synapse-workers";
/// Signing key, media and the SQLite database.
pub const DATA: &str = "/var/lib/synapse";
/// Synapse's signing key.
pub const SIGNING_KEY: &str = "/var/lib/synapse/signing.key";
/// The move of a database: what Synapse's account writes, below a directory in which only root makes names.
pub const MIGRATION: &str = "/var/lib/synapse-workers/migration";
/// Where earlier releases had it; only programs of Synapse's account look into it.
pub const OLD_MIGRATION: &str = "/var/lib/synapse/migration";
/// The database of a server without workers.
pub const SQLITE: &str = "/var/lib/synapse/homeserver.db";
/// Where Grafana takes files from, where it is installed.
pub const GRAFANA: &str = "/etc/grafana/provisioning";
/// What our own Prometheus keeps; there while metrics are on.
pub const PROMETHEUS: &str = "/var/lib/synapse-workers/prometheus";
/// Metrics of this host that no exporter tells, in Prometheus' text format.
pub const HOST_METRICS: &str = "/run/synapse-workers/metrics/host.prom";
/// Logs that are files; nginx may write below it at any time, since its sandbox is made when it starts.
pub const LOGS: &str = "/var/log/synapse-workers";
/// nginx's access log in the format that mtail reads; there while metrics are on.
pub const ACCESS_LOG: &str = "/var/log/synapse-workers/nginx/access.log";
/// Logs of nginx.
pub const NGINX_LOGS: &str = "/var/log/synapse-workers/nginx";
/// What a timer writes down of this host for Prometheus.
pub const METRICS: &str = "/run/synapse-workers/metrics";
/// The directory of our own Redis' socket.
pub const REDIS: &str = "/run/synapse-workers/redis";
/// Every Unix socket.
pub const RUN: &str = "/run/synapse-workers";
/// Synapse itself, when the host has none: for people, a link to [`venv`] of the version that is in use.
pub const VENV: &str = "/opt/synapse-workers/venv";
/// The state compressor.
pub const COMPRESSOR: &str = "/opt/synapse-workers/compressor";
/// Parent of both, which goes with `uninstall`.
pub const OPT: &str = "/opt/synapse-workers";
/// Unit files written by us.
pub const UNITS: &str = "/etc/systemd/system";
/// Directories of the system in which we have a file; a small host may lack them, and they are never ours alone.
pub const SHARED: [&str; 2] = ["/etc/sysusers.d", "/etc/tmpfiles.d"];
/// Our accounts, by their path in a generation.
pub const SYSUSERS: &str = "host/etc/sysusers.d/synapse-workers.conf";
/// Our directories, by their path in a generation.
pub const TMPFILES: &str = "host/etc/tmpfiles.d/synapse-workers.conf";
/// Log files of Synapse's processes, where they are asked for.
pub const SYNAPSE_LOGS: &str = "/var/log/synapse";
/// One `install` at a time.
pub const LOCK: &str = "/run/synapse-workers.lock";
/// The program that starts Synapse on sockets that systemd holds; the package brings it.
pub const LAUNCHER: &str = "/usr/libexec/synapse-workers/launcher";
/// Locked while requests shall wait at nginx's ports.
pub const HOLD: &str = "/run/synapse-workers.hold";
/// Socket directory of the host's own PostgreSQL (Debian, Ubuntu and Fedora alike).
pub const POSTGRES_SOCKETS: &str = "/run/postgresql";

/// Synapse of one version. Each has a directory of its own, so that a process never meets the files of another one, and
/// so that the way back finds the version that it leads to.
pub fn venv(version: &str) -> String {
    format!("{VENV}-{version}")
}

/// The Python of a venv.
pub fn python(venv: &str) -> PathBuf {
    Path::new(venv).join("bin/python")
}

/// Where nginx reaches a process.
pub fn public_socket(process: &str) -> String {
    format!("{RUN}/public/{process}.sock")
}

/// Where the other Synapse processes reach a process.
pub fn replication_socket(process: &str) -> String {
    format!("{RUN}/replication/{process}.sock")
}

/// The process that a socket file, or what Twisted keeps beside it, is of.
pub fn process_of(path: &str) -> Option<&str> {
    let (kind, file) = path.strip_prefix(RUN)?.strip_prefix('/')?.split_once('/')?;
    let ours = ["public", "replication"].contains(&kind);
    file.split_once(".sock")
        .filter(|_| ours)
        .map(|(name, _)| name)
}

/// The socket of our own Redis.
pub fn redis_socket() -> String {
    format!("{REDIS}/redis.sock")
}

/// The certificate and its key in one file (PEM), as the system user `account` reads it.
pub fn certificate(account: &str) -> String {
    format!("{TLS}/{account}.pem")
}

/// The file of one secret.
pub fn secret(name: &str) -> String {
    format!("{SECRETS}/{name}")
}

/// Whether this is the Python of a venv of ours, or the link to one: in the settings it asks for a Synapse of ours,
/// whatever the host has.
pub fn is_our_python(python: &Path) -> bool {
    python.starts_with(OPT)
}
