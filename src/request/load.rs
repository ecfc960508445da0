//! Loading the request: settings are read, edited and validated. Of the host, only the records of the running server
//! are read.

use super::adoption::{self, Adoption};
use super::edits::{SettingsEdit, of_host};
use super::files::{rooted, settings_path};
use super::model::{Files, Request, refused};
use super::sources::{FlagValue, Texts};
use super::{calls, homeserver_d, new_server, referenced_files};
use crate::cli::{ADOPT_PATHS, ADOPT_SERVICE, Common, Flags};
use crate::deployment::adopted::Adopted;
use crate::failure::Failure;
use crate::host::{self, Host};
use crate::plan::SettingsChange;
use crate::settings::types::{DatabaseKind, Identifier, WorkerList};
use crate::settings::value::{Scalar, Value};
use crate::settings::{self, Loaded, Row, Sources};
use crate::state::paths;
use crate::state::restart_rules::{HOST_NAME, LEFT_OUT};
use crate::topology::worker_keys::CONFLICTING;
use crate::topology::{self, Duty, WorkerSpec};
use anyhow::Context;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Loads and validates the request from settings file, environment, env-file and flags. Changes nothing.
///
/// # Errors
/// When a source cannot be read, when a value is not allowed, alone or with the others, or when the edit does not
/// apply. The exit status is that for usage, except for a server that cannot be adopted.
pub fn load(common: &Common, flags: &Flags, change: &SettingsEdit) -> Result<Request, Failure> {
    if common.root.is_none()
        && let Some(name) = host_name(paths::CURRENT)
    {
        return Err(Failure::preflight(format!(
            "this host is {name}, and the first host of its server manages it"
        ))
        .help("run the same command on the first host, which has the settings file"));
    }
    let mut texts = Texts::read(common)?;
    let (without, homeserver_d) = match change {
        SettingsEdit::Restore(to) => {
            texts.file = Some(to.text.clone());
            let copies = format!("{}/{}/synapse/homeserver.d", paths::GENERATIONS, to.number);
            (&to.without, PathBuf::from(copies))
        }
        _ => (&flags.without, rooted(common, paths::HOMESERVER_D)),
    };
    let adoption = match &flags.adopt {
        Some(path) => {
            let known = settings::load(&texts.with_flags(&[])).ok();
            let known = known.as_ref().map(|known| &known.settings);
            adoption::begin(common, path, flags, known)?
        }
        None => Adoption::default(),
    };
    // Of two flags with the same key, the later one counts.
    let flags = [adoption.flags, from_flags(flags)?].concat();
    let mut loaded = settings::load(&texts.with_flags(&flags)).map_err(Failure::usage)?;
    loaded.notes.extend(adoption.notes);
    new_server::refuse_capitals(common, &loaded)?;
    let Texts {
        path, file: text, ..
    } = texts;
    if text.is_none() && matches!(change, SettingsEdit::None) {
        new_server::choose_preset(common, &mut loaded);
    }
    let specs = specs(&mut loaded, change)?;
    if let SettingsEdit::Upgrade(version) = change
        && *version != loaded.settings.synapse.version
    {
        set(&mut loaded, "synapse.version", version)?;
        loaded.settings.synapse.version = version.clone();
    }
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
    let own = homeserver_d::read(&homeserver_d, &loaded.settings)
        .map_err(|error| Failure::usage(format!("{error:#}")))?;
    loaded.notes.extend(own.notes);
    let referenced = referenced_files::read(&loaded.settings, |path| {
        rooted(common, &path.to_string_lossy())
    })
    .map_err(|error| Failure::usage(format!("{error:#}")))?;
    let adopted = adoption::read(&mut loaded.settings, |path| rooted(common, path))
        .map_err(Failure::usage)?;
    loaded.notes.extend(adopted.replaced_by(&own.places));

    let after = match &text {
        None => settings::new_file(&loaded.settings),
        Some(text) if loaded.to_write.is_empty() => text.clone(),
        Some(text) => settings::edit_file(&path, text, &loaded.to_write).map_err(Failure::usage)?,
    };
    let keys: Vec<&str> = loaded.to_write.iter().map(|(key, _)| *key).collect();
    let restored = match change {
        SettingsEdit::Restore(to) => Some(to.change.clone()),
        _ => None,
    };
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
    let change = restored.unwrap_or(change);
    // Another root is not this host.
    let existing = match common.root {
        Some(_) => None,
        // If nothing is installed, only the settings show that the data has moved to an external PostgreSQL.
        None if loaded.settings.database.kind == DatabaseKind::External
            && Host::current().is_none() =>
        {
            None
        }
        None => host::existing_database(adopted.sqlite().is_some())?,
    };
    let conflicts = legacy_keys(&adopted, &own.places);
    let files = Files {
        homeserver_d: own.files,
        referenced,
        adopted,
    };
    // The settings file keeps the hosts that are left out, so they are taken out after its text.
    loaded.leave_out(without).map_err(Failure::usage)?;
    let hosts = loaded.origins["hosts"].clone();
    let mut request = Request::new(loaded, specs, files, existing, after, change)?;
    if moving {
        request.migrate_database()?;
    }
    request.check()?;
    request.check_hosts(&hosts)?;
    request.refuse_conflicts(&conflicts)?;
    request.check_mas(&own.places)?;
    let place = |key: &str| {
        own.places
            .get(key)
            .cloned()
            .or_else(|| request.adopted.place(key))
    };
    let mut notes = calls::check(&request, place)?;
    notes.extend(request.notes_on_logins());
    request.notes.extend(notes);
    let left_out: Vec<String> = request.notes_on_left_out().collect();
    request.notes.extend(left_out);
    if request.has_workers() {
        let own = request.referenced.log_config.as_deref();
        let note = own.and_then(referenced_files::shared_log_files);
        request.notes.extend(note);
    }
    Ok(request)
}

/// The places of keys that Synapse refuses beside workers with a certain duty.
fn legacy_keys(
    adopted: &Adopted,
    own: &BTreeMap<String, String>,
) -> Vec<(&'static str, Duty, String)> {
    let place = |key: &str| own.get(key).cloned().or_else(|| adopted.place(key));
    let conflicting = CONFLICTING.iter();
    conflicting
        .filter_map(|(key, duty)| Some((*key, *duty, place(key)?)))
        .collect()
}

/// The request of the generation in use; `None` if there is none, or if it cannot be read.
pub fn of_current() -> Option<Request> {
    let number = Host::current()?;
    let text = Host::settings_of(number).ok()??;
    of_generation(number, &text).ok()
}

/// The request of the generation in use, or of the settings file if there is none.
pub fn of_installed(common: &Common) -> Result<Request, Failure> {
    match of_current() {
        Some(request) => Ok(request),
        None => load(common, &Flags::default(), &SettingsEdit::None),
    }
}

/// Like [`load`], for commands that change nothing and are useful before a settings file exists. Without one they use
/// `localhost` as the name of the server.
///
/// # Errors
/// As for [`load`].
pub fn load_or_placeholder(common: &Common, flags: &Flags) -> Result<Request, Failure> {
    let mut flags = flags.clone();
    if flags.server_name.is_none() && !host::exists(settings_path(common)) {
        flags.server_name = Some("localhost".to_owned());
    }
    load(common, &flags, &SettingsEdit::None)
}

/// The request of an earlier generation, from the settings that are stored with it.
///
/// # Errors
/// When this release refuses settings that an earlier one accepted.
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
    loaded
        .leave_out(&left_out(number)?)
        .map_err(Failure::usage)?;
    let homeserver_d = homeserver_d::read(Path::new(paths::HOMESERVER_D), &loaded.settings)
        .unwrap_or_default()
        .files;
    let referenced = referenced_files::read(&loaded.settings, Path::to_owned).unwrap_or_default();
    let adopted =
        adoption::read(&mut loaded.settings, |path| PathBuf::from(path)).unwrap_or_default();
    let existing = host::existing_database(adopted.sqlite().is_some())?;
    let files = Files {
        homeserver_d,
        referenced,
        adopted,
    };
    let mut request = Request::new(loaded, specs, files, existing, text.to_owned(), None)?;
    if let Some(host) = host_name(&format!("{}/{number}", paths::GENERATIONS)) {
        request.deployment.settle(&host);
    }
    Ok(request)
}

/// The name of the host of a generation; `None` for the first host.
fn host_name(generation: &str) -> Option<String> {
    let text = host::read_text(format!("{generation}/{HOST_NAME}")).ok()??;
    Some(text.trim().to_owned())
}

/// The names of the hosts that a generation leaves out.
fn left_out(number: u32) -> Result<Vec<String>, Failure> {
    let list = host::read_text(format!("{}/{number}/{LEFT_OUT}", paths::GENERATIONS))?;
    let names = list.as_deref().unwrap_or_default().lines();
    Ok(names.map(str::to_owned).collect())
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

/// The worker specs of the first host after the edit, which also become the value of `workers`. Those of other hosts become
/// values in `hosts`.
pub(super) fn specs(
    loaded: &mut Loaded,
    change: &SettingsEdit,
) -> Result<Vec<WorkerSpec>, Failure> {
    let mut specs = topology::parse(&loaded.settings.workers.0)
        .map_err(|error| refused(&loaded.origins["workers"], "workers", &error))?;
    let edits = match change {
        SettingsEdit::Move(entry, to) => moved(loaded, &specs, entry, to)?,
        change => change.by_host().into_iter().collect(),
    };
    for (host, edit) in edits {
        if host.is_empty() {
            specs = edit.apply(specs).map_err(Failure::usage)?;
            let list = WorkerList(texts(&specs));
            set(loaded, "workers", &list)?;
            loaded.settings.workers = list;
            continue;
        }
        let mut hosts = loaded.settings.hosts.clone();
        let place = hosts.named_mut(&host).ok_or_else(|| unknown_host(&host))?;
        let own = topology::parse(&place.workers)
            .map_err(|error| refused(&loaded.origins["hosts"], "hosts", &error))?;
        place.workers = texts(&edit.apply(own).map_err(Failure::usage)?);
        if place.workers.is_empty() {
            return Err(
                Failure::usage(format!("{host} would have no worker")).help(format!(
                    "remove {host} from `hosts` in the settings file, then: synapse-workers install"
                )),
            );
        }
        set(loaded, "hosts", &hosts)?;
        loaded.settings.hosts = hosts;
    }
    Ok(specs)
}

/// The edits that move an entry of `workers` to another host.
fn moved(
    loaded: &Loaded,
    first: &[WorkerSpec],
    entry: &str,
    to: &str,
) -> Result<Vec<(String, SettingsEdit)>, Failure> {
    let (from, name) = of_host(entry);
    let to = of_host(&format!("{to}/")).0.to_owned();
    let own = match from {
        "" => first.to_vec(),
        host => {
            let place = loaded.settings.hosts.named(host);
            let place = place.ok_or_else(|| unknown_host(host))?;
            topology::parse(&place.workers)
                .map_err(|error| refused(&loaded.origins["hosts"], "hosts", &error))?
        }
    };
    let spec = own.iter().find(|spec| spec.name == name).ok_or_else(|| {
        let names: Vec<&str> = own.iter().map(|spec| spec.name.as_str()).collect();
        Failure::usage(format!("there is no entry {name:?}"))
            .help(format!("move one of the entries {}", names.join(", ")))
    })?;
    Ok(vec![
        (from.to_owned(), SettingsEdit::Remove(vec![name.to_owned()])),
        (to, SettingsEdit::Add(vec![spec.to_string()])),
    ])
}

fn texts(specs: &[WorkerSpec]) -> Vec<String> {
    specs.iter().map(ToString::to_string).collect()
}

fn unknown_host(name: &str) -> Failure {
    Failure::usage(format!("there is no host {name:?}"))
        .help("add it to `hosts` in the settings file; `first` is this host")
}

/// Records that the value of a key is to be written to the settings file.
fn set(loaded: &mut Loaded, key: &'static str, value: &impl Value) -> Result<(), Failure> {
    let row = Row::of(key).with_context(|| format!("there is no setting `{key}`"))?;
    loaded.to_write.retain(|(other, _)| *other != key);
    let value = row.yaml(value.to_raw().as_ref());
    loaded.to_write.push((key, value));
    Ok(())
}
