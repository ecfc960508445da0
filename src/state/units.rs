//! Names of units.

use super::HOST;
use crate::state::paths::UNITS;
use std::path::Path;

/// Everything.
pub const TARGET: &str = "synapse-workers.target";
/// The main process.
pub const MAIN: &str = "synapse-main.service";
/// The template of all workers' units.
pub const WORKERS: &str = "synapse-worker@.service";
/// Our own nginx.
pub const NGINX: &str = "synapse-nginx.service";
/// Ports and Unix socket of our own nginx.
pub const NGINX_SOCKET: &str = "synapse-nginx.socket";
/// The Unix sockets of the main process.
pub const MAIN_SOCKET: &str = "synapse-main.socket";
/// The template of the Unix sockets of workers.
pub const WORKER_SOCKETS: &str = "synapse-worker@.socket";
/// Keeps nginx from starting, while requests wait at the ports that systemd holds.
pub const HOLD: &str = "synapse-hold.service";
/// Our own Redis.
pub const REDIS: &str = "synapse-redis.service";
/// Hands a new certificate to nginx and coturn when its file changes; the work is done by a service of the same name.
pub const CERTIFICATE: &str = "synapse-certificate.path";
/// What [`CERTIFICATE`] starts.
pub const HAND_OVER: &str = "synapse-certificate.service";
/// Rotates the access log that metrics are made from.
pub const LOGROTATE: &str = "synapse-logrotate.timer";
/// What [`LOGROTATE`] starts.
pub const LOGROTATE_SERVICE: &str = "synapse-logrotate.service";
/// Our own Prometheus.
pub const PROMETHEUS: &str = "synapse-prometheus.service";
/// Metrics of nginx.
pub const NGINX_EXPORTER: &str = "synapse-nginx-exporter.service";
/// Metrics made from nginx's access log.
pub const NGINX_LOG_EXPORTER: &str = "synapse-nginx-log-exporter.service";
/// Metrics of Redis.
pub const REDIS_EXPORTER: &str = "synapse-redis-exporter.service";
/// Metrics of PostgreSQL.
pub const POSTGRES_EXPORTER: &str = "synapse-postgres-exporter.service";
/// Has free space and the end of the certificate written down as metrics.
pub const HOST_METRICS: &str = "synapse-host-metrics.timer";
/// What [`HOST_METRICS`] starts.
pub const HOST_METRICS_SERVICE: &str = "synapse-host-metrics.service";
/// Our own TURN server.
pub const COTURN: &str = "synapse-coturn.service";
/// Metrics of a TURN server that has none of its own.
pub const COTURN_EXPORTER: &str = "synapse-coturn-exporter.service";
/// Runs the state compressor.
pub const COMPRESSOR: &str = "synapse-compressor.timer";
/// What [`COMPRESSOR`] starts.
pub const COMPRESS: &str = "synapse-compressor.service";

/// Returns from a change that nobody confirms; there while one is on trial, whatever generation is in use.
pub const TRIAL_TIMER: &str = "synapse-trial.timer";
/// What [`TRIAL_TIMER`] starts.
pub const TRIAL: &str = "synapse-trial.service";

/// Every unit of ours that is enabled and running at times, as systemd's patterns. What a timer or path starts is not
/// among them: it comes and goes by itself.
pub static PATTERNS: &[&str] = &[
    TARGET,
    MAIN,
    "synapse-worker@*.service",
    MAIN_SOCKET,
    "synapse-worker@*.socket",
    NGINX_SOCKET,
    NGINX,
    REDIS,
    CERTIFICATE,
    LOGROTATE,
    PROMETHEUS,
    NGINX_EXPORTER,
    NGINX_LOG_EXPORTER,
    REDIS_EXPORTER,
    POSTGRES_EXPORTER,
    HOST_METRICS,
    COTURN,
    COTURN_EXPORTER,
    COMPRESSOR,
];

/// The unit of one worker.
pub fn worker(name: &str) -> String {
    format!("synapse-worker@{name}.service")
}

/// The unit of a process of Synapse, by the name of its socket.
pub fn process(name: &str) -> String {
    match name {
        "main" => MAIN.to_owned(),
        name => worker(name),
    }
}

/// The worker of a unit, if it is the unit of one.
pub fn worker_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("synapse-worker@")?
        .strip_suffix(".service")
}

/// The unit that holds the sockets of a service, where there is one.
pub fn socket_of(service: &str) -> Option<String> {
    let name = service.strip_suffix(".service")?;
    Some(format!("{name}.socket"))
}

/// Whether a unit is started by another one that needs it, and so has nothing to be enabled for.
pub fn is_needed(unit: &str) -> bool {
    unit == MAIN_SOCKET || file_of(unit) == WORKER_SOCKETS
}

/// The service that a unit holds sockets of.
pub fn served_by(socket: &str) -> Option<String> {
    let name = socket.strip_suffix(".socket")?;
    Some(format!("{name}.service"))
}

/// The directory of a unit's drop-ins that are ours, in the directory of unit files.
pub fn drop_ins(unit: &str) -> String {
    format!("{unit}.d")
}

/// Whether a directory holds drop-ins of a unit of ours.
pub fn is_drop_ins(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    directory.parent() == Some(Path::new(UNITS))
        && name.is_some_and(|name| name.starts_with("synapse-") && name.ends_with(".d"))
}

/// The place of a file of a generation in the directory of unit files.
fn place(path: &str) -> Option<&str> {
    path.strip_prefix(HOST)?
        .strip_prefix(UNITS)?
        .strip_prefix('/')
}

/// The unit of which a file of a generation is a drop-in.
pub fn drop_in_of(path: &str) -> Option<&str> {
    let (directory, _) = place(path)?.split_once('/')?;
    directory.strip_suffix(".d")
}

/// The path that `systemd-analyze verify` takes for a file of units: a drop-in is read with its unit.
pub fn judged(path: &str) -> Option<&str> {
    let place = place(path)?;
    match place.split_once('/') {
        Some((_, file)) => path.strip_suffix(file)?.strip_suffix(".d/"),
        None => Some(path),
    }
}

/// Whether a file of a generation is part of a unit: its unit file, or a drop-in of it.
pub fn is_of(path: &str, unit: &str) -> bool {
    drop_in_of(path) == Some(unit) || place(path) == Some(file_of(unit))
}

/// The unit file that a unit is made from.
pub fn file_of(unit: &str) -> &str {
    match unit.strip_prefix("synapse-worker@") {
        Some(instance) if instance.ends_with(".socket") => WORKER_SOCKETS,
        Some(_) => WORKERS,
        None => unit,
    }
}

/// Units in which Synapse itself runs.
pub fn is_synapse(unit: &str) -> bool {
    unit == MAIN || worker_of(unit).is_some()
}
