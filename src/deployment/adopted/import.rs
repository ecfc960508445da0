//! Imports settings from adopted files, and notes what is not imported.

use super::imported::{Imported, scalar};
use super::listeners;
use super::{Adopted, Store};
use crate::state::paths;
use serde_yaml::Mapping;

/// Keys that are imported unchanged, with the setting that receives the value.
static TAKEN: &[(&str, &str)] = &[
    ("server_name", "server_name"),
    ("report_stats", "report_stats"),
    ("public_baseurl", "public_baseurl"),
    ("serve_server_wellknown", "serve_server_wellknown"),
    ("max_upload_size", "max_upload_size"),
    ("media_store_path", "media_store_path"),
];

/// Keys that have no effect after adoption, with the replacement.
static LOST: &[(&str, &str)] = &[
    (
        "redis",
        "with workers there is one for this server alone; to use another, set redis.host",
    ),
    (
        "log_config",
        "Synapse logs to the journal from now on; to keep the adopted configuration, set log_config to its path",
    ),
    (
        "enable_metrics",
        "metrics are served where the settings say; set metrics.enabled to have them",
    ),
];

/// Derives settings and notes from the adopted files. `user` is the system user of the adopted server.
pub fn import(adopted: &Adopted, user: Option<&str>) -> Imported {
    let mut taken = Imported::default();
    for (key, setting) in TAKEN {
        if let Some(value) = adopted.options.get(*key).and_then(scalar) {
            taken.set(setting, value);
        }
    }
    match adopted.store() {
        Some(Store::Sqlite(_)) => taken.set("database.kind", "sqlite"),
        Some(Store::Postgres(arguments)) => postgres(&arguments, user, &mut taken),
        None => {}
    }
    listeners::take(adopted, &mut taken);
    for (key, instead) in LOST {
        if adopted.has(key) {
            taken.note(format!("{key}: {instead}"));
        }
    }
    taken
}

/// Imports libpq's arguments (PostgreSQL manual, 34.1.2) and those of Twisted's connection pool, with their defaults.
fn postgres(arguments: &Mapping, user: Option<&str>, taken: &mut Imported) {
    let given = |key: &str| arguments.get(key).and_then(scalar);
    let user = given("user").or(user.map(str::to_owned));
    let name = given("dbname").or(given("database")).or(user.clone());
    taken.set("database.kind", "external");
    let host = given("host").filter(|host| !host.is_empty());
    taken.set(
        "database.host",
        host.unwrap_or(paths::POSTGRES_SOCKETS.to_owned()),
    );
    taken.set("database.port", given("port").unwrap_or("5432".to_owned()));
    taken.set("database.cp_min", given("cp_min").unwrap_or("3".to_owned()));
    taken.set("database.cp_max", pool(arguments));
    for (setting, value) in [("database.user", user), ("database.name", name)] {
        if let Some(value) = value {
            taken.set(setting, value);
        }
    }
}

/// The maximum size of Twisted's connection pool (twisted.enterprise.adbapi, ConnectionPool).
pub(super) fn pool(arguments: &Mapping) -> String {
    arguments
        .get("cp_max")
        .and_then(scalar)
        .unwrap_or("5".to_owned())
}
