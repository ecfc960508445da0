//! Loading the request: settings are read, edited and validated. Of the host, only the records of the running server
//! are read.

use super::adoption::{self, Adoption};
use super::edits::SettingsEdit;
use super::files::{read, rooted, settings_path};
use super::{homeserver_d, referenced_files};
use crate::cli::{Common, Flags};
use crate::deployment::adopted::Adopted;
use crate::deployment::{Deployment, ReferencedFiles, SynapseOptions};
use crate::failure::Failure;
use crate::host;
use crate::plan::SettingsChange;
use crate::render::{self, Input};
use crate::settings::types::{DatabaseKind, Identifier, NetworkAccess, WorkerList};
use crate::settings::value::{Scalar, Value};
use crate::settings::{self, Loaded, Origin, Row, SettingsError, Sources};
use crate::state::HostFacts;
use crate::state::State;
use crate::state::paths;
use crate::topology::{self, Duty, SpecError, Topology, WorkerSpec};
use anyhow::Context;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A validated request, as far as that is possible without host facts.
pub struct Request {
    pub deployment: Deployment,
    /// The SQLite file whose data is to be moved to PostgreSQL.
    pub moving: Option<String>,
    /// The text of the settings file after this run.
    pub text: String,
    /// The change of the settings file, if its text differs.
    pub change: Option<SettingsChange>,
    /// Notes about the settings for the user.
    pub notes: Vec<String>,
}

impl Deref for Request {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

/// Contents of the administrator's files.
struct Files {
    own_options: SynapseOptions,
    named: ReferencedFiles,
    adopted: Adopted,
}

/// Loads and validates the request from settings file, environment, env-file and flags. Changes nothing.
pub fn load(common: &Common, flags: &Flags, change: &SettingsEdit) -> Result<Request, Failure> {
    let path = settings_path(common);
    let text = read(&path)?;
    let env_file = match &common.env_file {
        Some(path) => {
            let missing = || Failure::usage(format!("{}: there is no such file", path.display()));
            Some((path, read(path)?.ok_or_else(missing)?))
        }
        None => None,
    };
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let mut sources = Sources {
        file: Some((path.as_path(), text.as_deref().unwrap_or_default())),
        env_file: env_file
            .as_ref()
            .map(|(path, text)| (path.as_path(), text.as_str())),
        environment: &environment,
        flags: &[],
    };
    let adoption = match &flags.adopt {
        Some(path) => {
            let known = settings::load(&sources).ok();
            adoption::begin(common, path, known.as_ref().map(|known| &known.settings))?
        }
        None => Adoption::default(),
    };
    // Of two flags with the same key, the later one counts.
    let flags = [adoption.flags, given(flags)?].concat();
    sources.flags = &flags;
    let mut loaded = settings::load(&sources).map_err(Failure::usage)?;
    loaded.notes.extend(adoption.notes);
    let specs = specs(&mut loaded, change)?;
    let moving = matches!(change, SettingsEdit::MigrateDatabase);
    if moving {
        let kind = match loaded.settings.database.host {
            Some(_) => DatabaseKind::External,
            None => DatabaseKind::Local,
        };
        set(&mut loaded, "database.kind", &kind)?;
        if kind == DatabaseKind::Local {
            // PostgreSQL identifies Synapse by its system user, and an adopted server may have another one.
            let user = loaded.settings.synapse.user.as_str();
            let role = <Identifier as Scalar>::parse(user).map_err(Failure::usage)?;
            if role != loaded.settings.database.user {
                set(&mut loaded, "database.user", &role)?;
                loaded.settings.database.user = role;
            }
        }
        loaded.settings.database.kind = kind;
    }
    let own_options = homeserver_d::read(&rooted(common, paths::HOMESERVER_D), &loaded.settings)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    let named = referenced_files::read(&loaded.settings, |path| {
        rooted(common, &path.to_string_lossy())
    })
    .map_err(|error| Failure::usage(format!("{error:#}")))?;
    let adopted = adoption::read(&mut loaded.settings, |path| rooted(common, path))
        .map_err(Failure::usage)?;

    let after = match &text {
        None => settings::new_file(&loaded.settings),
        Some(text) if loaded.to_write.is_empty() => text.clone(),
        Some(text) => settings::edit_file(&path, text, &loaded.to_write).map_err(Failure::usage)?,
    };
    let keys: Vec<&str> = loaded.to_write.iter().map(|(key, _)| *key).collect();
    let change = (text.as_deref() != Some(after.as_str())).then(|| SettingsChange {
        path,
        what: match &text {
            None => "every setting with its default and an explanation".to_owned(),
            Some(_) => keys.join(", "),
        },
        before: text,
        after: Some(after.clone()),
        copy: None,
    });
    // Another root is not this host.
    let settled = match common.root {
        Some(_) => None,
        // If nothing is installed, only the settings show that the data has moved to an external PostgreSQL.
        None if loaded.settings.database.kind == DatabaseKind::External
            && host::Host::current().is_none() =>
        {
            None
        }
        None => host::settled_database(adopted.sqlite().is_some())?,
    };
    let files = Files {
        own_options,
        named,
        adopted,
    };
    let mut asked = Request::new(loaded, specs, files, settled, after, change)?;
    if moving {
        asked.move_database()?;
    }
    asked.check()?;
    Ok(asked)
}

/// The request of the generation in use; the settings file counts if there is none.
pub fn of_installed(common: &Common) -> Result<Request, Failure> {
    let recalled = host::Host::current()
        .and_then(|number| Some((number, host::Host::generation(number).ok()?.1?)))
        .map(|(number, text)| of_generation(number, &text));
    match recalled {
        Some(Ok(asked)) => Ok(asked),
        _ => load(common, &Flags::default(), &SettingsEdit::None),
    }
}

/// Like [`load`], for commands that change nothing and are useful before a settings file exists. Without one they use
/// `localhost` as the name of the server.
pub fn load_or_placeholder(common: &Common, flags: &Flags) -> Result<Request, Failure> {
    let mut flags = flags.clone();
    if flags.server_name.is_none() && !host::exists(settings_path(common)) {
        flags.server_name = Some("localhost".to_owned());
    }
    load(common, &flags, &SettingsEdit::None)
}

/// The request of an earlier generation, from the settings that are stored with it.
pub fn of_generation(number: u32, text: &str) -> Result<Request, Failure> {
    let path = PathBuf::from(format!("{}/{number}/settings.yaml", paths::GENERATIONS));
    let sources = Sources {
        file: Some((&path, text)),
        env_file: None,
        environment: &BTreeMap::new(),
        flags: &[],
    };
    let mut loaded = settings::load(&sources).map_err(Failure::usage)?;
    let specs = specs(&mut loaded, &SettingsEdit::None)?;
    let own_options =
        homeserver_d::read(Path::new(paths::HOMESERVER_D), &loaded.settings).unwrap_or_default();
    let named = referenced_files::read(&loaded.settings, Path::to_owned).unwrap_or_default();
    let adopted =
        adoption::read(&mut loaded.settings, |path| PathBuf::from(path)).unwrap_or_default();
    let settled = host::settled_database(adopted.sqlite().is_some())?;
    let files = Files {
        own_options,
        named,
        adopted,
    };
    Request::new(loaded, specs, files, settled, text.to_owned(), None)
}

/// Settings from flags: the flag, the key and the value.
fn given(flags: &Flags) -> Result<Vec<(&'static str, &'static str, String)>, Failure> {
    if let Some(name) = &flags.preset
        && topology::preset(name).is_none()
    {
        let names: Vec<&str> = topology::PRESETS.iter().map(|preset| preset.name).collect();
        return Err(Failure::usage(format!(
            "--preset: there is no preset `{name}`; say one of {}",
            names.join(", ")
        )));
    }
    let flags = [
        ("--server-name", "server_name", &flags.server_name),
        ("--workers", "workers", &flags.workers),
        ("--preset", "workers", &flags.preset),
    ];
    Ok(flags
        .into_iter()
        .filter_map(|(flag, key, value)| Some((flag, key, value.clone()?)))
        .collect())
}

/// The worker specs after the edit, which also become the value of `workers`.
fn specs(loaded: &mut Loaded, change: &SettingsEdit) -> Result<Vec<WorkerSpec>, Failure> {
    let specs = topology::parse(&loaded.settings.workers.0)
        .map_err(|error| refused(&loaded.origins["workers"], &error))?;
    if matches!(change, SettingsEdit::None | SettingsEdit::MigrateDatabase) {
        return Ok(specs);
    }
    let specs = change.apply(specs).map_err(Failure::usage)?;
    let list = WorkerList(specs.iter().map(ToString::to_string).collect());
    set(loaded, "workers", &list)?;
    loaded.settings.workers = list;
    Ok(specs)
}

/// Records that the value of a key is to be written to the settings file.
fn set(loaded: &mut Loaded, key: &'static str, value: &impl Value) -> Result<(), Failure> {
    let row = Row::of(key).with_context(|| format!("there is no setting `{key}`"))?;
    loaded.to_write.retain(|(other, _)| *other != key);
    let value = row.yaml(value.to_raw().as_ref());
    loaded.to_write.push((key, value));
    Ok(())
}

/// The error for invalid workers, with its place in the settings file; the names of flags and variables already say
/// which setting they are.
fn refused(origin: &Origin, error: &SpecError) -> Failure {
    match origin {
        Origin::File { .. } => Failure::usage(format!("{origin}: workers: {error}")),
        origin => Failure::usage(format!("{origin}: {error}")),
    }
}

impl Request {
    fn new(
        loaded: Loaded,
        specs: Vec<WorkerSpec>,
        files: Files,
        settled: Option<DatabaseKind>,
        text: String,
        change: Option<SettingsChange>,
    ) -> Result<Self, Failure> {
        let topology =
            Topology::new(specs).map_err(|error| refused(&loaded.origins["workers"], &error))?;
        if loaded.settings.sandbox.network == NetworkAccess::Senders
            && topology.with_duty(Duty::FederationSender).next().is_none()
        {
            let message = "`sandbox.network` is senders, but no worker has the role federation_sender, and so nothing would \
                           be sent to other homeservers; add federation_sender to `workers`, or set `sandbox.network` to auto";
            let origin = &loaded.origins["sandbox.network"];
            return Err(Failure::usage(SettingsError::at(origin, message)));
        }
        let deployment = Deployment {
            settings: loaded.settings,
            topology,
            own_options: files.own_options,
            named: files.named,
            adopted: files.adopted,
            settled,
        };
        let asked = Self {
            deployment,
            moving: None,
            text,
            change,
            notes: loaded.notes,
        };
        Ok(asked)
    }

    /// The input of rendering.
    pub fn input<'a>(&'a self, facts: &'a HostFacts) -> Input<'a> {
        Input {
            deployment: &self.deployment,
            facts,
        }
    }

    /// The desired state on a host with these facts.
    pub fn desired(&self, facts: &HostFacts) -> Result<State, Failure> {
        Ok(render::desired(&self.input(facts))?)
    }
}
