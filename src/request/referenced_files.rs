//! Referenced files, which settings name and processes read: registrations of application services, a logging
//! configuration, and locations of nginx. Errors are rejected here that Synapse would report only at its start, long after its parser has
//! accepted the configuration.

use super::nginx_files;
use crate::deployment::ReferencedFiles;
use crate::host;
use crate::pyyaml;
use crate::settings::Settings;
use crate::state::paths;
use crate::yaml;
use anyhow::{Context, Result, bail, ensure};
use serde_yaml::{Mapping, Value};
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// File name extensions of registrations in a directory, in upper or lower case.
const ENDINGS: [&str; 2] = ["yaml", "yml"];

/// Reads all referenced files; `place` maps a path of the settings to a path on the host.
///
/// # Errors
/// Names the setting and the file, with the line of invalid YAML.
pub fn read(settings: &Settings, place: impl Fn(&Path) -> PathBuf) -> Result<ReferencedFiles> {
    let mut app_services = BTreeMap::new();
    let mut seen = BTreeMap::new();
    let services = &settings.app_services;
    let mut register = |setting: &str, path: &Path| -> Result<()> {
        let contents = contents(&place(path))
            .and_then(|contents| {
                distinct(&registration(&contents)?, path, &mut seen)?;
                Ok(contents)
            })
            .with_context(|| format!("`{setting}`: {}", path.display()))?;
        app_services.insert(path.to_string_lossy().into_owned(), contents);
        Ok(())
    };
    if let Some(directory) = &services.directory {
        let directory = directory.as_path();
        ensure!(
            host::is_directory(place(directory)),
            "`app_services.directory`: the directory {} does not exist; create it, or leave the setting empty",
            directory.display()
        );
        for name in host::names(place(directory)) {
            let path = directory.join(name);
            let ending = path.extension().unwrap_or_default();
            if ENDINGS.iter().any(|one| ending.eq_ignore_ascii_case(one)) {
                register("app_services.directory", &path)?;
            }
        }
    }
    for path in &services.files {
        register("app_services.files", path.as_path())?;
    }
    let log_config = settings.log_config.as_ref().map(|path| {
        let path = path.as_path();
        let writable = [
            Path::new(paths::SYNAPSE_LOGS),
            Path::new(paths::DATA),
            settings.media_store_path.as_path(),
        ];
        logging(&place(path), &writable)
            .with_context(|| format!("`log_config`: {}", path.display()))
    });
    Ok(ReferencedFiles {
        app_services,
        log_config: log_config.transpose()?,
        locations: nginx_files::read(&settings.nginx.include, place)?,
    })
}

fn contents(path: &Path) -> Result<Vec<u8>> {
    host::read(path)?.context("there is no such file")
}

fn mapping(contents: &[u8]) -> Result<Mapping> {
    match yaml::parse(contents)? {
        Value::Mapping(mapping) => Ok(mapping),
        _ => bail!("is not a mapping of keys to values"),
    }
}

/// The fields that must be unique among registrations.
struct Registration {
    id: String,
    token: String,
}

/// Validates the fields that config/appservice.py requires.
fn registration(contents: &[u8]) -> Result<Registration> {
    let fields = mapping(contents)?;
    let text = |name: &str| match fields.get(name) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => bail!("`{name}` is missing or not a string; quote a number"),
    };
    let (id, token) = (text("id")?, text("as_token")?);
    text("hs_token")?;
    text("sender_localpart")?;
    ensure!(
        matches!(fields.get("url"), Some(Value::String(_) | Value::Null)),
        "`url` is missing; write `url: null` for a service that receives no events"
    );
    ensure!(
        matches!(fields.get("namespaces"), Some(Value::Mapping(_))),
        "`namespaces` is missing; write `namespaces: {{}}` for none"
    );
    Ok(Registration { id, token })
}

/// Rejects fields that another registration already has; the message does not contain the token.
fn distinct(
    registration: &Registration,
    path: &Path,
    seen: &mut BTreeMap<(&'static str, String), PathBuf>,
) -> Result<()> {
    for (field, value) in [("id", &registration.id), ("as_token", &registration.token)] {
        let before = seen.insert((field, value.clone()), path.to_owned());
        if let Some(other) = before {
            bail!(
                "`{field}` is the same as in {}; each registration needs its own",
                other.display()
            );
        }
    }
    Ok(())
}

/// Checks a logging configuration. Python's logging.config requires `version: 1`, and no process starts without it, nor
/// with a handler that cannot open its file; a unit may write below some directories only.
fn logging(path: &Path, writable: &[&Path]) -> Result<Vec<u8>> {
    let contents = contents(path)?;
    let configuration = pyyaml::options(&contents)?.mapping;
    let version = configuration.get("version").and_then(Value::as_u64);
    ensure!(
        version == Some(1),
        "`version` is not 1, as Python's logging.config requires"
    );
    for (name, file) in log_files(&configuration) {
        let place = Path::new(&file);
        let inside = writable
            .iter()
            .any(|directory| place.starts_with(directory));
        let steps_up = place.components().any(|part| part == Component::ParentDir);
        ensure!(
            inside && !steps_up || file == "/dev/null",
            "the handler `{name}` writes to {file}, where Synapse's units may not write\n  help: set its `filename` to a \
             path below {}, or remove the handler; the journal contains the log if a handler writes to \
             ext://sys.__stderr__",
            paths::SYNAPSE_LOGS
        );
    }
    Ok(contents)
}

/// The handlers of a logging configuration that write to a file, each with its file.
fn log_files(configuration: &Mapping) -> Vec<(String, String)> {
    let handlers = configuration.get("handlers").and_then(Value::as_mapping);
    let handlers = handlers.into_iter().flatten();
    handlers
        .filter_map(|(name, handler)| {
            let file = handler.get("filename")?.as_str()?;
            Some((name.as_str()?.to_owned(), file.to_owned()))
        })
        .collect()
}

/// A note on the log files of a logging configuration that several processes would rotate, each on its own.
pub fn shared_log_files(log_config: &[u8]) -> Option<String> {
    let configuration = pyyaml::options(log_config).ok()?.mapping;
    let files: Vec<String> = log_files(&configuration)
        .into_iter()
        .map(|(_, file)| file)
        .filter(|file| file != "/dev/null")
        .collect();
    (!files.is_empty()).then(|| {
        format!(
            "log_config: every process writes to {}, and a rotation by one of them loses lines of the others; log_to_disk \
             gives each process a file of its own",
            files.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A registration like the one in Synapse's docs/application_services.md.
    const GOOD: &str = "id: irc\nurl: http://127.0.0.1:9999\nas_token: t0\nhs_token: t1\n\
                        sender_localpart: irc\nnamespaces: {users: []}\n";

    #[test]
    fn registrations_have_what_synapse_asks_for() {
        assert!(registration(GOOD.as_bytes()).is_ok());
        for line in GOOD.lines() {
            let name = line.split(':').next().unwrap();
            let without = GOOD.replace(&format!("{line}\n"), "");
            let error = registration(without.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
        let null = GOOD.replace("http://127.0.0.1:9999", "null");
        assert!(registration(null.as_bytes()).is_ok());
        assert!(registration(GOOD.replace("t0", "17").as_bytes()).is_err());
        assert!(registration(b"- id").is_err());
    }

    #[test]
    fn two_with_one_id_or_token_are_refused_without_the_token() {
        for (field, other) in [
            ("id", GOOD.replace("t0", "t2")),
            ("as_token", GOOD.replace("id: irc", "id: other")),
        ] {
            let mut seen = BTreeMap::new();
            let first = registration(GOOD.as_bytes()).unwrap();
            distinct(&first, Path::new("/a.yaml"), &mut seen).unwrap();
            let second = registration(other.as_bytes()).unwrap();
            let error = distinct(&second, Path::new("/b.yaml"), &mut seen).unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains(field) && error.contains("/a.yaml") && !error.contains("t0"),
                "{error}"
            );
        }
    }

    #[test]
    fn log_files_are_where_a_unit_may_write() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.yaml");
        let checked = |file: &str| {
            let text = format!(
                "version: 1\nhandlers:\n  file: {{class: logging.handlers.TimedRotatingFileHandler, filename: {file}}}\n  \
                 console: {{class: logging.StreamHandler}}\n"
            );
            std::fs::write(&path, &text).unwrap();
            let writable = [Path::new(paths::SYNAPSE_LOGS)];
            (logging(&path, &writable), shared_log_files(text.as_bytes()))
        };
        for (file, good) in [
            ("/var/log/synapse/homeserver.log", true),
            ("/dev/null", true),
            ("/var/log/matrix-synapse/homeserver.log", false),
            ("/var/log/synapse/../x.log", false),
            ("homeserver.log", false),
        ] {
            let (result, note) = checked(file);
            assert_eq!(result.is_ok(), good, "{file}");
            assert_eq!(note.is_some(), file != "/dev/null", "{file}");
            if let Err(error) = result {
                assert!(
                    error
                        .to_string()
                        .contains(&format!("`file` writes to {file}"))
                );
            }
        }
    }
}
