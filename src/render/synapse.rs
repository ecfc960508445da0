//! Synapse's options: homeserver.yaml, logging, and the administrator's files. Options that processes share or read
//! alone are in [`super::shared`] and [`super::processes`].

use super::{StateBuilder, coturn, filters, logs, mail, processes, shared};
use crate::deployment::Sizes;
use crate::deployment::secrets::pgpass_line;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, Verification};
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::state::restart_rules;
use anyhow::Result;
use askama::Template;
use serde_json::Value;

#[derive(Template)]
#[template(path = "synapse/homeserver.yaml")]
struct Homeserver<'a> {
    settings: &'a Settings,
    sizes: Sizes,
    signing_key: &'a str,
    /// Whether this host has the secret that registers accounts.
    registers_by_secret: bool,
    captcha_secret: bool,
    /// The e-mail block, unless it is a composed file.
    email: Option<String>,
    /// Paths of the registrations of application services, as Synapse reads them.
    app_services: Vec<String>,
    /// Options for MatrixRTC and /.well-known/matrix/client.
    for_clients: Vec<(&'static str, Value)>,
    sqlite: Option<&'a str>,
    database_host: String,
    passfile: Option<String>,
    adopted: bool,
    /// Keys of the adopted files that would open ports.
    closed: Vec<&'static str>,
    turn_uris: Vec<String>,
}

impl Homeserver<'_> {
    fn secret(&self, name: &str) -> String {
        paths::secret(name)
    }
}

/// The secret without which a process gives no client a password for a TURN server.
const TURN: &str = "turn_shared_secret";

#[derive(Template)]
#[template(path = "synapse/manhole.yaml")]
struct Manhole;

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let settings = &input.settings;
    let database = input.database();
    let password = input.has_secret(input.database_password());
    let registrations = input.referenced.app_services.keys();
    let homeserver = Homeserver {
        settings,
        sizes: input.sizes(),
        signing_key: paths::SIGNING_KEY,
        registers_by_secret: input.is_first(),
        captcha_secret: input.has_secret("recaptcha_private_key"),
        email: mail::render(builder)?,
        app_services: registrations
            .map(|path| format!("{}/{}", paths::CURRENT, registration(path)))
            .collect(),
        for_clients: input.options_for_clients(),
        sqlite: (database == DatabaseKind::Sqlite).then_some(paths::SQLITE),
        database_host: match (&settings.database.host, database) {
            (Some(host), DatabaseKind::External) => host.to_string(),
            _ => paths::POSTGRES_SOCKETS.to_owned(),
        },
        passfile: password.then(|| paths::secret("pgpass")),
        adopted: !input.adopted.is_empty(),
        closed: input.adopted.closed(),
        turn_uris: match input.is_first() || input.has_secret(TURN) {
            true => coturn::uris(settings),
            false => Vec::new(),
        },
    };
    builder.options("synapse/homeserver.yaml", homeserver.render()?);
    if password {
        builder.composed("pgpass", pgpass_line(input));
    }
    if input.has_secret("manhole_password") {
        builder.composed("synapse.d/manhole.yaml", Manhole.render()?);
    }
    for (path, contents) in &input.referenced.app_services {
        builder
            .add(&registration(path), contents.clone(), &[])
            .private = true;
    }
    logs::render(builder)?;
    builder.text(restart_rules::VERSION, input.synapse().version);
    let venv = input.venv();
    if input.facts.synapse.is_none() && !venv.is_base() {
        builder.text(restart_rules::PACKAGES, venv.requirements().join("\n"));
    }
    let copies = [
        ("homeserver.d", &input.homeserver_d),
        ("adopted", &input.adopted.copies),
    ];
    for (directory, files) in copies {
        for (name, contents) in files {
            let path = format!("synapse/{directory}/{name}");
            builder.add(&path, contents.clone(), &[]).private = true;
        }
    }
    processes::render(builder)?;
    if input.has_workers() {
        shared::render(builder)?;
    }
    Ok(())
}

/// The path of the copy of a registration in a generation. It contains the original path.
fn registration(path: &str) -> String {
    format!("synapse/app_services{path}")
}
