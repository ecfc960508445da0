//! Imports settings from adopted files, and notes what is not imported.

use super::imported::{Imported, is_off, number, scalar};
use super::{Adopted, Store, listeners, mas};
use crate::deployment::owned_keys::{Adoption, OWNED_KEYS};
use crate::settings::types::{Duration, SslMode, Whole};
use crate::settings::value::Scalar;
use crate::state::paths;
use serde_yaml::{Mapping, Value};

/// Where the adopted server ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// On this host.
    #[default]
    Host,
    /// In a container, whose addresses and names are not those of this host.
    Container,
}

/// Derives settings and notes from the adopted files. `user` is the system user of the adopted server.
pub fn import(adopted: &Adopted, user: Option<&str>, origin: Origin) -> Imported {
    let mut imported = Imported::default();
    for note in &adopted.repeated {
        imported.note(note);
    }
    for row in OWNED_KEYS {
        let Adoption::Imported(setting) = row.adopted else {
            continue;
        };
        let read = match row.key {
            "max_upload_size" => number,
            _ => scalar,
        };
        if let Some(value) = adopted.options.get(row.key).and_then(read) {
            imported.set(setting, value);
        }
    }
    match adopted.store() {
        Some(Store::Sqlite(_)) => imported.set("database.kind", "sqlite"),
        Some(Store::Postgres(arguments)) => {
            let database = adopted.options.get("database");
            let limit = database.and_then(|database| database.get("txn_limit"));
            postgres(&arguments, limit, user, &mut imported);
        }
        None => {}
    }
    listeners::import(adopted, origin, &mut imported);
    mas::import(adopted, &mut imported);
    for row in OWNED_KEYS {
        let dropped = matches!(row.adopted, Adoption::Dropped | Adoption::Closed);
        if dropped
            && adopted
                .options
                .get(row.key)
                .is_some_and(|value| !is_off(value))
        {
            imported.note(format!("{}: {}", row.key, row.instead));
        }
    }
    imported
}

/// Imports libpq's arguments (PostgreSQL manual, 34.1.2) and those of Twisted's connection pool, with their defaults.
fn postgres(
    arguments: &Mapping,
    limit: Option<&Value>,
    user: Option<&str>,
    imported: &mut Imported,
) {
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
    encryption(filled("sslmode"), filled("sslrootcert"), imported);
    for key in ["sslcert", "sslkey"] {
        if filled(key).is_some() {
            imported.note(format!(
                "database: `{key}` is not imported: only Synapse itself proves its identity to PostgreSQL by a certificate"
            ));
        }
    }
    // 0 is the default of the kernel for times, and no limit for transactions.
    let time = |text: &String| Duration::parse(text).is_ok();
    let probes = |text: &String| <Whole<1, 127> as Scalar>::parse(text).is_ok();
    let limit = limit.and_then(number);
    let transactions = |text: &String| <Whole<1, 1_000_000_000> as Scalar>::parse(text).is_ok();
    for (setting, value) in [
        (
            "database.keepalives_idle",
            count("keepalives_idle").filter(time),
        ),
        (
            "database.keepalives_interval",
            count("keepalives_interval").filter(time),
        ),
        (
            "database.keepalives_count",
            count("keepalives_count").filter(probes),
        ),
        ("database.txn_limit", limit.filter(transactions)),
    ] {
        if let Some(value) = value {
            imported.set(setting, value);
        }
    }
}

/// Imports the encryption of connections, which programs other than Synapse need as well.
fn encryption(mode: Option<String>, certificate: Option<String>, imported: &mut Imported) {
    let Some(mode) = mode.and_then(|mode| SslMode::parse(&mode).ok()) else {
        return;
    };
    let file = certificate.filter(|path| path.starts_with('/'));
    let used = mode.verifies() || mode == SslMode::Require;
    if mode.verifies() && file.is_none() {
        // The default of `sslrootcert` is a file in the home directory of an account.
        imported.set("database.sslmode", SslMode::Require.show());
        imported.note(format!(
            "database: `sslmode` is {} without a path in `sslrootcert`, so only Synapse itself verifies the certificate of \
             PostgreSQL; set database.sslrootcert and database.sslmode for the other programs",
            mode.show()
        ));
        return;
    }
    imported.set("database.sslmode", mode.show());
    if let Some(file) = file.filter(|_| used) {
        imported.set("database.sslrootcert", file);
    }
}

/// The maximum size of Twisted's connection pool (twisted.enterprise.adbapi, ConnectionPool).
pub(super) fn pool(arguments: &Mapping) -> String {
    arguments
        .get("cp_max")
        .and_then(number)
        .unwrap_or("5".to_owned())
}
