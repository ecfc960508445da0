//! Names of units.

/// Everything.
pub const TARGET: &str = "synapse-workers.target";
/// The main process.
pub const MAIN: &str = "synapse-main.service";
/// Our own nginx.
pub const NGINX: &str = "synapse-nginx.service";
/// Our own Redis.
pub const REDIS: &str = "synapse-redis.service";

/// The unit of one worker.
pub fn worker(name: &str) -> String {
    format!("synapse-worker@{name}.service")
}

/// The worker of a unit, if it is the unit of one.
pub fn worker_of(unit: &str) -> Option<&str> {
    unit.strip_prefix("synapse-worker@")?
        .strip_suffix(".service")
}

/// Units in which Synapse itself runs.
pub fn is_synapse(unit: &str) -> bool {
    unit == MAIN || worker_of(unit).is_some()
}
