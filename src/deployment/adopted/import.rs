//! Imports settings from adopted files, and notes what is not imported.

use super::imported::{Imported, number, scalar};
use super::{Adopted, Store, listeners, mas};
use crate::state::paths;
use serde_yaml::Mapping;

/// Keys that are imported unchanged, with the setting that receives the value.
static IMPORTED: &[(&str, &str)] = &[
    ("server_name", "server_name"),
    ("report_stats", "report_stats"),
    ("public_baseurl", "public_baseurl"),
    ("serve_server_wellknown", "serve_server_wellknown"),
    ("max_upload_size", "max_upload_size"),
    ("media_store_path", "media_store_path"),
];

/// Keys that have no effect after adoption, with the setting to use in their place.
static IGNORED: &[(&str, &str)] = &[
    (
        "redis",
        "this program runs a Redis for the workers; to use another one, set redis.host",
    ),
    (
        "log_config",
        "Synapse logs to the journal; to use the adopted log configuration, set log_config to its path",
    ),
    (
        "enable_metrics",
        "the settings decide about metrics; set metrics.enabled to enable them",
    ),
];

/// Derives settings and notes from the adopted files. `user` is the system user of the adopted server.
pub fn import(adopted: &Adopted, user: Option<&str>) -> Imported {
    let mut imported = Imported::default();
    for note in &adopted.repeated {
        imported.note(note);
    }
    for (key, setting) in IMPORTED {
        let read = match *key {
            "max_upload_size" => number,
            _ => scalar,
        };
        if let Some(value) = adopted.options.get(*key).and_then(read) {
            imported.set(setting, value);
        }
    }
    match adopted.store() {
        Some(Store::Sqlite(_)) => imported.set("database.kind", "sqlite"),
        Some(Store::Postgres(arguments)) => postgres(&arguments, user, &mut imported),
        None => {}
    }
    listeners::import(adopted, &mut imported);
    mas::import(adopted, &mut imported);
    for (key, instead) in IGNORED {
        if adopted.has(key) {
            imported.note(format!("{key}: {instead}"));
        }
    }
    imported
}

/// Imports libpq's arguments (PostgreSQL manual, 34.1.2) and those of Twisted's connection pool, with their defaults.
fn postgres(arguments: &Mapping, user: Option<&str>, imported: &mut Imported) {
    let argument = |key: &str| arguments.get(key).and_then(scalar);
    let count = |key: &str| arguments.get(key).and_then(number);
    let user = argument("user").or(user.map(str::to_owned));
    let name = argument("dbname").or(argument("database")).or(user.clone());
    imported.set("database.kind", "external");
    let filled = |key: &str| argument(key).filter(|value| !value.is_empty());
    // libpq connects to `hostaddr`, and uses `host` only to verify the certificate.
    let host = filled("hostaddr").or(filled("host"));
    imported.set(
        "database.host",
        host.unwrap_or(paths::POSTGRES_SOCKETS.to_owned()),
    );
    imported.set("database.port", count("port").unwrap_or("5432".to_owned()));
    imported.set("database.cp_min", count("cp_min").unwrap_or("3".to_owned()));
    imported.set("database.cp_max", pool(arguments));
    for (setting, value) in [("database.user", user), ("database.name", name)] {
        if let Some(value) = value {
            imported.set(setting, value);
        }
    }
}

/// The maximum size of Twisted's connection pool (twisted.enterprise.adbapi, ConnectionPool).
pub(super) fn pool(arguments: &Mapping) -> String {
    arguments
        .get("cp_max")
        .and_then(number)
        .unwrap_or("5".to_owned())
}
