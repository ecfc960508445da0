//! The sources of settings as they are on this host.

use super::files::{read, settings_path};
use crate::cli::{ADOPT_PATHS, ADOPT_SERVICE, Common, Flags};
use crate::failure::Failure;
use crate::settings::Sources;
use crate::topology;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A setting of the command line: the flag as typed, the key and the value.
pub(super) type FlagValue = (&'static str, &'static str, String);

/// The texts of all sources but the command line.
pub(super) struct Texts {
    /// The path of the settings file.
    pub path: PathBuf,
    /// The text of the settings file, if it exists.
    pub file: Option<String>,
    env_file: Option<(PathBuf, String)>,
    environment: BTreeMap<String, String>,
}

impl Texts {
    /// Reads the files and the environment.
    ///
    /// # Errors
    /// When a file cannot be read as text, or when there is no env-file of that name.
    pub fn read(common: &Common) -> Result<Self, Failure> {
        let path = settings_path(common);
        let file = read(&path)?;
        let env_file = match &common.env_file {
            Some(path) => {
                let missing =
                    || Failure::usage(format!("{}: there is no such file", path.display()));
                Some((path.clone(), read(path)?.ok_or_else(missing)?))
            }
            None => None,
        };
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self {
            path,
            file,
            env_file,
            environment,
        })
    }

    /// All sources, with these values of the command line.
    pub fn with_flags<'a>(&'a self, flags: &'a [FlagValue]) -> Sources<'a> {
        let env_file = self.env_file.as_ref();
        Sources {
            file: Some((&self.path, self.file.as_deref().unwrap_or_default())),
            env_file: env_file.map(|(path, text)| (path.as_path(), text.as_str())),
            environment: &self.environment,
            flags,
        }
    }
}

/// Settings from flags: the flag, the key and the value.
pub(super) fn from_flags(flags: &Flags) -> Result<Vec<FlagValue>, Failure> {
    if let Some(name) = &flags.preset
        && topology::preset(name).is_none()
    {
        let names: Vec<&str> = topology::PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Failure::usage(format!(
            "--preset: there is no preset `{name}`; use one of {}",
            names.join(", ")
        )));
    }
    let acme = flags.acme.as_deref().map(acme);
    let tune = flags.tune_database.then(|| true.to_string());
    let open = flags.open_database.then(|| true.to_string());
    let values = [
        ("--server-name", "server_name", &flags.server_name),
        ("--workers", "workers", &flags.workers),
        ("--preset", "workers", &flags.preset),
        ("--acme", "tls.acme", &acme),
        ("--tune-database", "database.tune", &tune),
        ("--open-database", "database.open", &open),
        (ADOPT_PATHS, "adopt.paths", &flags.adopt_paths),
        (ADOPT_SERVICE, "adopt.service", &flags.adopt_service),
    ];
    let values = values.into_iter();
    let values = values.filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)));
    Ok(values.chain(flags.answers.iter().cloned()).collect())
}

/// The value of `tls.acme` for an account with this e-mail address, or without one if that is empty.
pub fn acme(email: &str) -> String {
    match email.trim() {
        "" => json!({}),
        email => json!({"email": email}),
    }
    .to_string()
}
