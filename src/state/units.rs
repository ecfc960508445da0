//! The names of units, and the unit files and drop-ins that belong to them.

use super::HOST;
use crate::state::paths::UNITS;
use std::collections::BTreeSet;
use std::path::Path;

/// The target that groups all units.
pub const TARGET: &str = "synapse-workers.target";
/// The main process.
pub const MAIN: &str = "synapse-main.service";
/// The template of all workers' units.
pub const WORKERS: &str = "synapse-worker@.service";
/// Our own nginx.
pub const NGINX: &str = "synapse-nginx.service";
/// The service of the distribution's nginx, which its package starts.
pub const DISTRIBUTION_NGINX: &str = "nginx.service";
/// The ports and the Unix socket of our own nginx.
pub const NGINX_SOCKET: &str = "synapse-nginx.socket";
/// The Unix sockets of the main process.
pub const MAIN_SOCKET: &str = "synapse-main.socket";
/// The template of the Unix sockets of workers.
pub const WORKER_SOCKETS: &str = "synapse-worker@.socket";
/// The template of fork servers, whose instances are named after the Synapse that they have imported.
pub const WARM: &str = "synapse-warm@.service";
/// System calls that a fork server makes for the namespaces of its processes, and forbids itself before it forks one.
pub const CALLS_FOR_NAMESPACES: [&str; 2] = ["mount", "capset"];
/// Keeps nginx from starting while new connections wait at the sockets that systemd holds.
pub const HOLD: &str = "synapse-hold.service";
/// Our own Redis.
pub const REDIS: &str = "synapse-redis.service";
/// Watches the certificate file for changes; a service of the same name installs a new certificate for nginx and
/// coturn.
pub const CERTIFICATE: &str = "synapse-certificate.path";
/// The service that [`CERTIFICATE`] starts.
pub const CERTIFICATE_SERVICE: &str = "synapse-certificate.service";
/// Obtains and renews the certificate of `tls.acme`, and repeats failed attempts.
pub const ACME: &str = "synapse-acme.timer";
/// The service that [`ACME`] and `install` start.
pub const ACME_SERVICE: &str = "synapse-acme.service";
/// Rotates nginx's logs.
pub const LOGROTATE: &str = "synapse-logrotate.timer";
/// The service that [`LOGROTATE`] starts.
pub const LOGROTATE_SERVICE: &str = "synapse-logrotate.service";
/// Our own Prometheus.
pub const PROMETHEUS: &str = "synapse-prometheus.service";
/// Our own Alertmanager.
pub const ALERTMANAGER: &str = "synapse-alertmanager.service";
/// Metrics of nginx.
pub const NGINX_EXPORTER: &str = "synapse-nginx-exporter.service";
/// Metrics derived from nginx's access log.
pub const NGINX_LOG_EXPORTER: &str = "synapse-nginx-log-exporter.service";
/// Metrics of Redis.
pub const REDIS_EXPORTER: &str = "synapse-redis-exporter.service";
/// Metrics of PostgreSQL.
pub const POSTGRES_EXPORTER: &str = "synapse-postgres-exporter.service";
/// Writes the free disk space and the expiry of the certificate as metrics.
pub const HOST_METRICS: &str = "synapse-host-metrics.timer";
/// The service that [`HOST_METRICS`] starts.
pub const HOST_METRICS_SERVICE: &str = "synapse-host-metrics.service";
/// Our own TURN server.
pub const COTURN: &str = "synapse-coturn.service";
/// Metrics of a coturn that exports none itself.
pub const COTURN_EXPORTER: &str = "synapse-coturn-exporter.service";
/// Runs the state compressor.
pub const COMPRESSOR: &str = "synapse-compressor.timer";
/// The service that [`COMPRESSOR`] starts.
pub const COMPRESS: &str = "synapse-compressor.service";
/// Starts backups.
pub const BACKUP: &str = "synapse-backup.timer";
/// The service that [`BACKUP`] starts.
pub const BACKUP_SERVICE: &str = "synapse-backup.service";
/// Starts checks of the newest backup.
pub const BACKUP_CHECK: &str = "synapse-backup-check.timer";
/// The service that [`BACKUP_CHECK`] starts.
pub const BACKUP_CHECK_SERVICE: &str = "synapse-backup-check.service";

/// Rolls back a change that is not confirmed. It exists during a trial, whatever generation is in use.
pub const TRIAL_TIMER: &str = "synapse-trial.timer";
/// The service that [`TRIAL_TIMER`] starts.
pub const TRIAL: &str = "synapse-trial.service";

/// The unit of one worker.
pub fn worker(name: &str) -> String {
    format!("synapse-worker@{name}.service")
}

/// The unit of a fork server.
pub fn fork_server(instance: &str) -> String {
    format!("synapse-warm@{instance}.service")
}

/// Whether a unit runs a cluster of PostgreSQL, in the layout of Debian's packages.
pub fn is_postgres(unit: &str) -> bool {
    unit.starts_with("postgresql@")
}

/// Whether a unit is a fork server.
pub fn is_fork_server(unit: &str) -> bool {
    file_of(unit) == WARM
}

/// The unit of a Synapse process, by the name of its socket.
pub fn process(name: &str) -> String {
    match name {
        "main" => MAIN.to_owned(),
        name => worker(name),
    }
}

/// The name of the worker that a unit runs; `None` if it is not the unit of a worker.
pub fn worker_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("synapse-worker@")?
        .strip_suffix(".service")
}

/// The name of the process of a service, as it is printed and as its sockets have it.
pub fn name_of(unit: &str) -> &str {
    worker_of(unit)
        .or_else(|| unit.strip_prefix("synapse-")?.strip_suffix(".service"))
        .unwrap_or(unit)
}

/// The name of the unit that holds the sockets of a service.
pub fn socket_of(service: &str) -> Option<String> {
    let name = service.strip_suffix(".service")?;
    Some(format!("{name}.socket"))
}

/// Whether another unit starts this one as a dependency, so that it need not be enabled.
pub fn is_needed(unit: &str) -> bool {
    unit == MAIN_SOCKET || [WORKER_SOCKETS, WARM].contains(&file_of(unit))
}

/// The service for which a unit holds sockets.
pub fn served_by(socket: &str) -> Option<String> {
    let name = socket.strip_suffix(".socket")?;
    Some(format!("{name}.service"))
}

/// The directory of this program's drop-ins for a unit, relative to the directory of unit files.
pub fn drop_ins(unit: &str) -> String {
    format!("{unit}.d")
}

/// The name of the drop-in with the warm start of a unit. It sorts before that of the drop-in that `systemctl edit`
/// creates, which can therefore override it.
pub const WARM_DROP_IN: &str = "50-warm.conf";

/// The drop-in of a unit whose process is forked, by its path in a generation.
pub fn warm_drop_in(unit: &str) -> String {
    format!("{HOST}{UNITS}/{}/{WARM_DROP_IN}", drop_ins(unit))
}

/// Whether a directory holds drop-ins for a unit of this program.
pub fn is_drop_ins(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    directory.parent() == Some(Path::new(UNITS))
        && name.is_some_and(|name| name.starts_with("synapse-") && name.ends_with(".d"))
}

/// The path of a file of a generation relative to the directory of unit files.
fn place(path: &str) -> Option<&str> {
    path.strip_prefix(HOST)?
        .strip_prefix(UNITS)?
        .strip_prefix('/')
}

/// The unit for which a file of a generation is a drop-in.
pub fn drop_in_of(path: &str) -> Option<&str> {
    let (directory, _) = place(path)?.split_once('/')?;
    directory.strip_suffix(".d")
}

/// The paths to pass to `systemd-analyze verify` for these files of a generation. If the sockets of single workers have
/// drop-ins, the templates of workers are read with these workers: without a drop-in, there may be no socket.
pub fn all_to_verify<'a>(paths: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let mut found: BTreeSet<String> = paths.filter_map(to_verify).map(str::to_owned).collect();
    let is_instance = |path: &&String| {
        let unit = place(path).filter(|unit| file_of(unit) == WORKER_SOCKETS);
        unit.is_some_and(|unit| unit != WORKER_SOCKETS)
    };
    let sockets = found.iter().filter(is_instance);
    let services: Vec<String> = sockets.filter_map(|socket| served_by(socket)).collect();
    if !services.is_empty() {
        found.retain(|path| ![Some(WORKERS), Some(WORKER_SOCKETS)].contains(&place(path)));
    }
    found.extend(services);
    found
}

/// The path to pass to `systemd-analyze verify` for a unit file or a drop-in; a drop-in is read with its unit.
fn to_verify(path: &str) -> Option<&str> {
    let place = place(path)?;
    match place.split_once('/') {
        Some((_, file)) => path.strip_suffix(file)?.strip_suffix(".d/"),
        None => Some(path),
    }
}

/// Whether a file of a generation belongs to a unit, as its unit file or as a drop-in.
pub fn is_of(path: &str, unit: &str) -> bool {
    drop_in_of(path) == Some(unit) || place(path) == Some(file_of(unit))
}

/// The unit whose unit file has this path on the host; `None` for any other file.
pub fn of_host_file(path: &str) -> Option<&str> {
    let name = path.strip_prefix(UNITS)?.strip_prefix('/')?;
    (!name.contains('/')).then_some(name)
}

/// The unit file that defines a unit.
pub fn file_of(unit: &str) -> &str {
    match unit.strip_prefix("synapse-worker@") {
        Some(instance) if instance.ends_with(".socket") => WORKER_SOCKETS,
        Some(_) => WORKERS,
        None if unit.starts_with("synapse-warm@") && unit.ends_with(".service") => WARM,
        None => unit,
    }
}

/// Whether a unit runs a process of Synapse itself.
pub fn is_synapse(unit: &str) -> bool {
    unit == MAIN || worker_of(unit).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_without_sockets_are_verified_with_the_workers_that_have_some() {
        let verified = |names: &[&str]| -> Vec<String> {
            let prefix = format!("{HOST}{UNITS}/");
            let paths: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
            let found = all_to_verify(paths.iter().map(String::as_str));
            found
                .iter()
                .map(|path| path[prefix.len()..].to_owned())
                .collect()
        };
        let templates = [
            WORKERS,
            WORKER_SOCKETS,
            "synapse-worker@.service.d/40-size.conf",
        ];
        assert_eq!(verified(&templates), [WORKERS, WORKER_SOCKETS]);
        let more = [
            "synapse-worker@a1.socket.d/50-address.conf",
            "synapse-worker@b1.service.d/50-network.conf",
        ];
        assert_eq!(
            verified(&[templates.as_slice(), &more].concat()),
            [
                "synapse-worker@a1.service",
                "synapse-worker@a1.socket",
                "synapse-worker@b1.service"
            ]
        );
    }
}
