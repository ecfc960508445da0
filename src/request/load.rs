//! Loading the request: settings are read, edited and validated. Of the host, only the records of the running server
//! are read.

use super::adoption::{self, Adoption};
use super::edits::SettingsEdit;
use super::files::{rooted, settings_path};
use super::generation::{host_name, of_current};
use super::model::{Files, Request};
use super::sources::{Texts, from_flags};
use super::specs::{set, specs};
use super::{calls, homeserver_d, new_server, referenced_files};
use crate::cli::{Common, Flags};
use crate::deployment::adopted::Adopted;
use crate::failure::Failure;
use crate::host::{self, Host};
use crate::plan::SettingsChange;
use crate::settings;
use crate::settings::types::{DatabaseKind, Identifier};
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::topology::Duty;
use crate::topology::worker_keys::CONFLICTING;
use std::collections::BTreeMap;
use std::path::PathBuf;

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
