//! `install --adopt FILE`: the settings that are imported from an existing Synapse when it is adopted for the first
//! time.

use super::container;
use super::files::{rooted, unrooted};
use super::homeserver_d;
use crate::cli::{ADOPT as FLAG, ADOPT_PATHS, ADOPT_SERVICE, Common, Flags};
use crate::deployment::adopted::{Adopted, Origin, import, mapped};
use crate::failure::{Code, Failure};
use crate::host::{self, Host, Systemd, adopted};
use crate::settings::Settings;
use crate::settings::types::{Auto, PathMapping, Secret, UnitName};
use crate::settings::value::{Raw, Scalar, Value};
use crate::state::accounts;
use std::path::{Path, PathBuf};

/// Imported settings, in the form of flags, and notes.
#[derive(Default)]
pub struct Adoption {
    pub flags: Vec<(&'static str, &'static str, String)>,
    pub notes: Vec<String>,
}

/// Finds the server to adopt and imports its settings. `settings` are those of the settings file, if it exists and is
/// valid.
///
/// # Errors
/// When there is no such file, when the server cannot be adopted, or when this host already runs a server of this
/// program.
pub fn begin(
    common: &Common,
    path: &Path,
    flags: &Flags,
    settings: Option<&Settings>,
) -> Result<Adoption, Failure> {
    if settings.is_some_and(|settings| !settings.adopt.config.is_empty()) {
        // Imported by an earlier run; from then on the settings file counts.
        return Ok(Adoption::default());
    }
    if common.root.is_none() && Host::current().is_some() {
        return Err(Failure::preflight(
            "--adopt: synapse-workers already runs a server on this host, and would replace it",
        )
        .help("if that server is not needed: synapse-workers uninstall --purge"));
    }
    let file = file(common, path)?;
    let systemd = match common.root.is_none() && host::booted_with_systemd() {
        true => Some(Systemd::connect()?),
        false => None,
    };
    let preflight =
        |error: anyhow::Error| Failure::from(error.context(FLAG)).ending(Code::Preflight);
    let (mappings, service) = named(flags, settings)?;
    let found = adopted::find(&file, service.as_deref(), systemd.as_ref()).map_err(preflight)?;
    let config: Vec<PathBuf> = found.config.iter().map(PathBuf::from).collect();
    let files = adopted::read(&config).map_err(preflight)?;
    let adopted = Adopted::to_import(mapped(files, &mappings))
        .map_err(|error| Failure::preflight(format!("{FLAG}: {error}")))?;
    container::refuse_missing(common, &file, &adopted)?;
    let key = adopted.text("signing_key_path").unwrap_or_default();
    let (owner, ids) = adopted::owner(&rooted(common, key).to_string_lossy()).map_err(preflight)?;
    let user = found.user.or(owner);
    if let Some(accounts::ROOT | "0") = user.as_deref() {
        return Err(runs_as_root(found.service.as_deref(), key, &adopted));
    }
    let origin = match mappings.is_empty() {
        true => Origin::Host,
        false => Origin::Container,
    };
    let mut imported = import(&adopted, user.as_deref(), origin);
    if origin == Origin::Container {
        if common.root.is_none() {
            container::refuse_closed(&adopted, user.as_deref(), ids, &mappings)?;
        }
        imported.notes.extend(container::note(common, &adopted));
    }
    imported
        .notes
        .extend(config.iter().flat_map(|path| ignored(path)));
    let paths = config.iter().map(|path| unrooted(common, path));
    imported
        .settings
        .push(("adopt.config", paths.collect::<Vec<_>>().join(", ")));
    if let Some(service) = found.service.as_ref().filter(|_| origin == Origin::Host) {
        imported.notes.push(format!(
            "{service}: the environment and limits in its unit file are not imported; use the settings in `caches` and `limits`"
        ));
    }
    let numbers = user.is_none().then_some(ids);
    let more = [
        ("adopt.service", found.service),
        ("synapse.user", user),
        ("synapse.uid", numbers.map(|ids| ids.0.to_string())),
        ("synapse.gid", numbers.map(|ids| ids.1.to_string())),
        ("synapse.python", found.python),
    ];
    for (key, value) in more {
        imported.settings.extend(value.map(|value| (key, value)));
    }
    let flag = |(key, value)| (FLAG, key, value);
    Ok(Adoption {
        flags: imported.settings.into_iter().map(flag).collect(),
        notes: imported.notes,
    })
}

/// Reads the adopted files. Their secrets and their pool replace those of the settings.
///
/// # Errors
/// When one of them cannot be read, or cannot be adopted any more.
pub fn read(settings: &mut Settings, place: impl Fn(&str) -> PathBuf) -> Result<Adopted, String> {
    let paths = settings.adopt.config.iter();
    let config: Vec<PathBuf> = paths.map(|path| place(path.as_str())).collect();
    let files = adopted::read(&config).map_err(|error| format!("adopt.config: {error:#}"))?;
    let adopted = Adopted::new(mapped(files, &settings.adopt.paths))?;
    if let Some(password) = adopted.database_password()
        && settings.postgres_password.is_none()
    {
        settings.postgres_password = secret(password);
    }
    if let Some(shared) = adopted.text("turn_shared_secret") {
        // Synapse derives passwords for clients from this secret, so our TURN server needs it.
        settings.turn_shared_secret = secret(shared.to_owned());
    }
    if let Some(pool) = adopted.pool() {
        // The adopted file decides, and the check of connections needs its value.
        let pool =
            Scalar::parse(&pool).map_err(|error| format!("cp_max of `database`: {error}"))?;
        settings.database.cp_max = Auto::Set(pool);
    }
    Ok(adopted)
}

/// The paths of a container and the service that the administrator names, in flags or in the settings file.
fn named(
    flags: &Flags,
    settings: Option<&Settings>,
) -> Result<(Vec<PathMapping>, Option<String>), Failure> {
    let mut paths = settings.map_or_else(Vec::new, |settings| settings.adopt.paths.clone());
    let service = settings.and_then(|settings| settings.adopt.service.as_ref());
    let mut service = service.map(ToString::to_string);
    if let Some(text) = &flags.adopt_paths {
        let parsed = <Vec<PathMapping> as Value>::parse(&Raw::Text(text.clone()));
        paths = parsed.map_err(|refused| {
            Failure::usage(format!("{ADOPT_PATHS}: {text:?}: {}", refused.reason))
        })?;
    }
    if let Some(text) = &flags.adopt_service {
        let name = <UnitName as Scalar>::parse(text);
        let name =
            name.map_err(|reason| Failure::usage(format!("{ADOPT_SERVICE}: {text:?}: {reason}")))?;
        service = Some(name.to_string());
    }
    Ok((paths, service))
}

/// Notes on the files of a directory that Synapse ignores.
fn ignored(config: &Path) -> Vec<String> {
    let names = host::names(config).into_iter();
    names
        .filter(|name| !name.ends_with(".yaml"))
        .filter_map(|name| homeserver_d::ignored(&config.join(&name), &name))
        .collect()
}

/// The error for a server that runs as root, with the steps to an account of its own.
fn runs_as_root(service: Option<&str>, key: &str, adopted: &Adopted) -> Failure {
    let (why, restart) = match service {
        Some(service) => (
            format!("{service} runs Synapse as root"),
            format!(
                ", and run the service as that account: systemctl edit {service} with the lines [Service] and \
                 User=matrix-synapse, systemctl restart {service}"
            ),
        ),
        None => (
            format!("{key} belongs to root, so Synapse has run as root"),
            String::new(),
        ),
    };
    Failure::preflight(format!(
        "{FLAG}: {why}, and an attacker who takes over Synapse would control this host\n  \
         help: run the server as its own account: useradd --system --shell /usr/sbin/nologin matrix-synapse; \
         chown -R matrix-synapse: {}{restart}; then {FLAG} again",
        adopted.places().join(" ")
    ))
}

fn secret(value: String) -> Option<Secret> {
    <Option<Secret>>::parse(&Raw::Text(value)).unwrap_or_default()
}

/// The configuration file at a path; homeserver.yaml if the path is a directory.
fn file(common: &Common, path: &Path) -> Result<PathBuf, Failure> {
    let place = rooted(common, &path.to_string_lossy());
    let place = match host::is_directory(&place) {
        true => place.join("homeserver.yaml"),
        false => place,
    };
    let missing = || {
        Failure::usage(format!(
            "{FLAG}: {}: there is no such file",
            place.display()
        ))
    };
    if !place.is_file() {
        return Err(missing());
    }
    std::path::absolute(&place).map_err(|_| missing())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};
    use std::collections::BTreeMap;

    #[test]
    fn secrets_of_the_adopted_files_are_those_of_the_settings() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("homeserver.yaml");
        let old = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\nturn_shared_secret: of old\n\
                   database: {name: psycopg2, args: {user: u, password: p, dbname: d, cp_max: 9}}\n";
        std::fs::write(&file, old).unwrap();
        let text = format!("server_name: a.test\nadopt: {{config: [{:?}]}}\n", file);
        let environment = BTreeMap::from([("SYNAPSE_TURN_SECRET".to_owned(), "new".to_owned())]);
        let loaded = load(&Sources {
            file: Some((Path::new("settings.yaml"), &text)),
            env_file: None,
            environment: &environment,
            flags: &[],
        });
        let mut settings = loaded.unwrap().settings;
        read(&mut settings, |path| PathBuf::from(path)).unwrap();
        let revealed = |secret: &Option<Secret>| secret.as_ref().map(|it| it.reveal().to_owned());
        // The adopted file takes precedence, because Synapse reads it.
        assert_eq!(
            revealed(&settings.turn_shared_secret).as_deref(),
            Some("of old")
        );
        assert_eq!(revealed(&settings.postgres_password).as_deref(), Some("p"));
        assert_eq!(settings.database.cp_max.set().unwrap().get(), 9);
    }
}
