//! Synapse's options: homeserver.yaml, logging, and the administrator's own files. What processes share or read alone is
//! in [`super::shared`] and [`super::processes`].

use super::{Sheaf, filters, processes, shared};
use crate::paths;
use crate::settings::Settings;
use crate::settings::types::DatabaseKind;
use crate::settings::value::Scalar;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse/homeserver.yaml")]
struct Homeserver<'a> {
    settings: &'a Settings,
    signing_key: &'a str,
    sqlite: Option<&'a str>,
    database_host: String,
    passfile: Option<String>,
}

impl Homeserver<'_> {
    fn secret(&self, name: &str) -> String {
        paths::secret(name)
    }
}

#[derive(Template)]
#[template(path = "synapse/log.yaml")]
struct Log {
    level: String,
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let settings = input.settings;
    let database = input.database();
    let homeserver = Homeserver {
        settings,
        signing_key: paths::SIGNING_KEY,
        sqlite: (database == DatabaseKind::Sqlite).then_some(paths::SQLITE),
        database_host: match (&settings.database.host, database) {
            (Some(host), DatabaseKind::External) => host.to_string(),
            _ => paths::POSTGRES_SOCKETS.to_owned(),
        },
        passfile: input
            .has_secret("postgres_password")
            .then(|| paths::secret("pgpass")),
    };
    sheaf.text("synapse/homeserver.yaml", homeserver.render()?);
    if input.has_secret("postgres_password") {
        sheaf.composed("pgpass", passwords(settings));
    }
    let log = Log {
        level: settings.log_level.show(),
    };
    sheaf.text("synapse/log.yaml", log.render()?);
    let version = match &input.facts.version {
        Some(version) => version.clone(),
        None => settings.synapse.version.show(),
    };
    sheaf.text("synapse/version", version);
    for (name, contents) in input.own_options {
        sheaf
            .add(
                &format!("synapse/homeserver.d/{name}"),
                contents.clone(),
                &[],
            )
            .private = true;
    }
    processes::render(sheaf)?;
    if input.has_workers() {
        shared::render(sheaf)?;
    }
    Ok(())
}

/// The line of libpq's password file (PostgreSQL manual, 32.16).
fn passwords(settings: &Settings) -> String {
    let database = &settings.database;
    let host = database.host.as_ref().map_or("*", |host| host.as_str());
    let fields = [
        host,
        &database.port.show(),
        database.name.as_str(),
        database.user.as_str(),
    ];
    let escaped = fields.map(|field| field.replace('\\', "\\\\").replace(':', "\\:"));
    format!("{}:@postgres_password@", escaped.join(":"))
}
