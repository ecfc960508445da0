//! The paths on the host: the contract of the project with its users, in one place.

use std::path::{Path, PathBuf};

/// The administrator's settings file, unless `--settings` names another.
pub const SETTINGS: &str = "/etc/synapse-workers/settings.yaml";
/// The directory of the settings, the administrator's own Synapse options and the secrets.
pub const ETC: &str = "/etc/synapse-workers";
/// The administrator's own Synapse options, passed on unchanged.
pub const HOMESERVER_D: &str = "/etc/synapse-workers/homeserver.d";
/// Secrets, which are generated once, never deleted by `uninstall` without `--purge`, and never printed.
pub const SECRETS: &str = "/etc/synapse-workers/secrets";
/// The group of every Synapse process, whatever its user. It owns the files that Synapse must read and other accounts
/// must not.
pub const GROUP: &str = "synapse";
/// The record of the resources that this program created on the host, so that `uninstall --purge` may remove them.
pub const CREATED: &str = "/etc/synapse-workers/made.json";
/// The directory in which Debian's packages keep the configuration of PostgreSQL clusters, by version and name.
pub const POSTGRES_CLUSTERS: &str = "/etc/postgresql";
/// The directory below which Debian's packages store the data of PostgreSQL clusters.
pub const POSTGRES_DATA: &str = "/var/lib/postgresql";
/// The directory of all data of services; its file system is the one that fills.
pub const VAR_LIB: &str = "/var/lib";
/// Generations and the links to them.
pub const STATE: &str = "/var/lib/synapse-workers";
/// Generations, each one complete rendered tree.
pub const GENERATIONS: &str = "/var/lib/synapse-workers/generations";
/// The link to the generation in use; units read files only through this link.
pub const CURRENT: &str = "/var/lib/synapse-workers/current";
/// Synapse's options in the generation in use.
pub const OPTIONS: &str = "/var/lib/synapse-workers/current/synapse";
/// The generation that was last applied to the running processes; older than `current` after an interrupted run.
pub const APPLIED: &str = "/var/lib/synapse-workers/applied";
/// Generations switched to since one was applied completely, one number per line: processes may run with any of them.
pub const SWITCHED: &str = "/var/lib/synapse-workers/switched";
/// The differences of the installed Synapse from the routing table.
pub const ENDPOINTS: &str = "/var/lib/synapse-workers/endpoints.json";
/// The record of a trial.
pub const TRIAL: &str = "/var/lib/synapse-workers/trial.json";
/// The records of backups, and restic's cache; they exist while backups are configured.
pub const BACKUP: &str = "/var/lib/synapse-workers/backup";
/// The record of the last complete backup. Its modification time is the time of that backup.
pub const LAST_BACKUP: &str = "/var/lib/synapse-workers/backup/last.json";
/// The record of a restore that is not complete.
pub const RESTORE: &str = "/var/lib/synapse-workers/restore.json";
/// The name of the secret that encrypts backups.
pub const BACKUP_PASSWORD: &str = "backup_password";
/// A file that packages of Synapse touch when they change its code: processes that started before it changed run older
/// code.
pub const UPGRADED: &str = "/var/lib/synapse-workers/upgraded";
/// Copies of the certificate with its key, one for each service that reads it.
pub const TLS: &str = "/var/lib/synapse-workers/tls";
/// certbot's directory for this server: the account at the authority, certificates and keys. `uninstall` retains it,
/// because authorities limit how often they issue the same certificate.
pub const ACME: &str = "/etc/synapse-workers/acme";
/// The order that the newest certificate in [`ACME`] fulfills.
pub const ACME_FULFILLED: &str = "/etc/synapse-workers/acme/fulfilled.json";
/// The newest certificate of `tls.acme` with its chain, as certbot stores it.
pub const ACME_CHAIN: &str = "/etc/synapse-workers/acme/live/synapse-workers/fullchain.pem";
/// The key of that certificate.
pub const ACME_KEY: &str = "/etc/synapse-workers/acme/live/synapse-workers/privkey.pem";
/// The directory of everything else that belongs to `tls.acme`.
pub const ACME_STATE: &str = "/var/lib/synapse-workers/acme";
/// The certificate of `tls.acme` with its chain and its key; a placeholder until the authority has issued one.
pub const ACME_PAIR: &str = "/var/lib/synapse-workers/acme/pair/certificate.pem";
/// The directory of that file, which is watched for changes.
pub const ACME_PAIRS: &str = "/var/lib/synapse-workers/acme/pair";
/// certbot's working directory.
pub const ACME_WORK: &str = "/var/lib/synapse-workers/acme/work";
/// certbot's logs.
pub const ACME_LOGS: &str = "/var/lib/synapse-workers/acme/logs";
/// The accounts at authorities.
pub const ACME_ACCOUNTS: &str = "/etc/synapse-workers/acme/accounts";
/// The directory in which certbot proves that a name belongs to this host, and from which nginx serves the proofs.
pub const ACME_WEBROOT: &str = "/var/lib/synapse-workers/acme/webroot";
/// The record of failed attempts to obtain a certificate.
pub const ACME_ATTEMPTS: &str = "/var/lib/synapse-workers/acme/attempts.json";
/// certbot's options in the generation in use.
pub const ACME_ORDER: &str = "/var/lib/synapse-workers/current/acme/certbot.ini";
/// The path at which the package installs this program.
pub const PROGRAM: &str = "/usr/bin/synapse-workers";
/// Signing key, media and the SQLite database.
pub const DATA: &str = "/var/lib/synapse";
/// Synapse's signing key.
pub const SIGNING_KEY: &str = "/var/lib/synapse/signing.key";
/// The working directory of a database migration, to which Synapse's account writes. Only root creates names in its
/// parent directory.
pub const MIGRATION: &str = "/var/lib/synapse-workers/migration";
/// The working directory of a migration in earlier releases; only programs that run as Synapse's account read it.
pub const OLD_MIGRATION: &str = "/var/lib/synapse/migration";
/// The SQLite database of a server without workers.
pub const SQLITE: &str = "/var/lib/synapse/homeserver.db";
/// The directory from which Grafana, if installed, reads provisioned files.
pub const GRAFANA: &str = "/etc/grafana/provisioning";
/// The data of our own Prometheus; it exists while metrics are enabled.
pub const PROMETHEUS: &str = "/var/lib/synapse-workers/prometheus";
/// The data of our own Alertmanager: silences, and which alerts it has sent.
pub const ALERTMANAGER: &str = "/var/lib/synapse-workers/alertmanager";
/// Metrics of this host that no exporter provides, in Prometheus' text format.
pub const HOST_METRICS: &str = "/run/synapse-workers/metrics/host.prom";
/// The directory of log files. nginx may write below it at any time, because its sandbox is set up when it starts.
pub const LOGS: &str = "/var/log/synapse-workers";
/// nginx's access log in the format that mtail reads; it exists while metrics are enabled.
pub const ACCESS_LOG: &str = "/var/log/synapse-workers/nginx/access.log";
/// nginx's log with the addresses of clients; it exists while `nginx.access_log` is true.
pub const REQUEST_LOG: &str = "/var/log/synapse-workers/requests/access.log";
/// The directory of that log, which is removed with it.
pub const REQUEST_LOGS: &str = "/var/log/synapse-workers/requests";
/// The directory of the access log for metrics.
pub const NGINX_LOGS: &str = "/var/log/synapse-workers/nginx";
/// The directory of the metrics of this host that a timer writes for Prometheus.
pub const METRICS: &str = "/run/synapse-workers/metrics";
/// The directory of our own Redis' socket.
pub const REDIS: &str = "/run/synapse-workers/redis";
/// The directory of all Unix sockets.
pub const RUN: &str = "/run/synapse-workers";
/// The sockets at which nginx reaches Synapse's processes.
pub const PUBLIC_SOCKETS: &str = "/run/synapse-workers/public";
/// The sockets at which Synapse's processes reach each other.
pub const REPLICATION_SOCKETS: &str = "/run/synapse-workers/replication";
/// nginx's prefix, with the request bodies that are too large for memory.
pub const NGINX: &str = "/var/lib/synapse-workers/nginx";
/// Synapse itself, if the host has none: a link, for administrators, to the
/// [venv](super::SynapseVenv) in use.
pub const VENV: &str = "/opt/synapse-workers/venv";
/// The venv of the state compressor.
pub const COMPRESSOR: &str = "/opt/synapse-workers/compressor";
/// The parent directory of both, which `uninstall` removes.
pub const OPT: &str = "/opt/synapse-workers";
/// The directory of this program's unit files.
pub const UNITS: &str = "/etc/systemd/system";
/// System directories in which this program has a file. A small host may lack them, and they never belong to this
/// program alone.
pub const SHARED: [&str; 2] = ["/etc/sysusers.d", "/etc/tmpfiles.d"];
/// The file that declares this program's accounts, by its path in a generation.
pub const SYSUSERS: &str = "host/etc/sysusers.d/synapse-workers.conf";
/// The file that declares this program's directories, by its path in a generation.
pub const TMPFILES: &str = "host/etc/tmpfiles.d/synapse-workers.conf";
/// Log files of Synapse's processes, if they are enabled.
pub const SYNAPSE_LOGS: &str = "/var/log/synapse";
/// The lock file that permits one `install` at a time.
pub const LOCK: &str = "/run/synapse-workers.lock";
/// The program that starts Synapse with socket activation; the package installs it.
pub const LAUNCHER: &str = "/usr/libexec/synapse-workers/launcher";
/// The program that starts a process from a fork server; the package installs it.
pub const WARM_START: &str = "/usr/libexec/synapse-workers/warm-start";
/// The directory of fork servers whose processes have the host's network. Each has a directory of its own in it, which
/// systemd creates with the server.
pub const OPEN_FORK_SERVERS: &str = "/run/synapse-workers/warm-open";
/// The same for processes without network access.
pub const ISOLATED_FORK_SERVERS: &str = "/run/synapse-workers/warm-isolated";
/// The directory of the socket of D-Bus.
pub const BUS: &str = "/run/dbus";
/// The lock file that is locked while new connections wait at nginx's sockets.
pub const HOLD: &str = "/run/synapse-workers.hold";
/// The directories that `ProtectHome=` makes inaccessible to units (systemd.exec(5)).
pub const HOMES: &[&str] = &["/home", "/root", "/run/user"];
/// Directories whose contents a unit does not see or a reboot deletes, each with the reason (systemd.exec(5),
/// `PrivateTmp=` and `PrivateDevices=`; file-hierarchy(7)).
pub const VOLATILE: &[(&str, &str)] = &[
    ("/tmp", "which is private to each unit"),
    ("/var/tmp", "which is private to each unit"),
    ("/run", "which is empty after a reboot"),
    ("/var/run", "which is empty after a reboot"),
    ("/dev", "which is empty after a reboot"),
    ("/proc", "which contains no files of its own"),
    ("/sys", "which contains no files of its own"),
];
/// The socket directory of the host's own PostgreSQL (Debian, Ubuntu and Fedora alike).
pub const POSTGRES_SOCKETS: &str = "/run/postgresql";

/// The Python of a venv.
pub fn python(venv: &str) -> PathBuf {
    Path::new(venv).join("bin/python")
}

/// The socket at which nginx reaches a process.
pub fn public_socket(process: &str) -> String {
    format!("{PUBLIC_SOCKETS}/{process}.sock")
}

/// The socket at which the other Synapse processes reach a process.
pub fn replication_socket(process: &str) -> String {
    format!("{REPLICATION_SOCKETS}/{process}.sock")
}

/// The process that owns a socket file, or a file that Twisted keeps beside it.
pub fn process_of(path: &str) -> Option<&str> {
    let (directory, file) = path.rsplit_once('/')?;
    let ours = [PUBLIC_SOCKETS, REPLICATION_SOCKETS].contains(&directory);
    let (name, _) = file.split_once(".sock").filter(|_| ours)?;
    Some(name)
}

/// The socket of our own Redis.
pub fn redis_socket() -> String {
    format!("{REDIS}/redis.sock")
}

/// The file with the certificate and its key (PEM) that the system user `account` reads.
pub fn certificate(account: &str) -> String {
    format!("{TLS}/{account}.pem")
}

/// The file of one secret.
pub fn secret(name: &str) -> String {
    format!("{SECRETS}/{name}")
}

/// Whether this is the Python of a venv of this program, or the link to one. Such a path in the settings selects this
/// program's own Synapse, whatever the host has.
pub fn is_our_python(python: &Path) -> bool {
    python.starts_with(OPT)
}
