//! `restore`: brings a server back from a backup to a host that has none, then installs it.
//!
//! Each part is restored completely or not at all, and a record on the host says which backup is being restored. So an
//! interrupted restore continues when it is run again.

mod find;
mod parts;

use super::backup::size;
use super::confirmation::ask;
use super::install;
use super::time::utc;
use super::trial::TrialAction;
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::backup::BegunRestore;
use crate::host::{self, Host};
use crate::preflight;
use crate::report::Report;
use crate::request;
use crate::request::SettingsEdit as Change;
use crate::state::paths;
pub use find::From;
use find::{Found, find};
use parts::bring_back;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs `synapse-workers restore`.
///
/// # Errors
/// When the host has a server already, when the backup cannot be read, or as for `install`.
pub fn restore(common: &Common, from: &From) -> Result<ExitCode, Failure> {
    if !host::is_root() {
        return Err(Failure::preflight("this needs root").help("sudo synapse-workers restore …"));
    }
    let report = Report::new(common.json);
    let begun = BegunRestore::read();
    {
        let _lock = host::lock_if_root()?;
        refuse_existing(common, begun.is_some())?;
        let found = find(from)?;
        if let Some(begun) = begun.as_ref().filter(|begun| begun.run != found.run.id) {
            return Err(Failure::preflight(format!("the restore of backup {} is not complete", begun.run)).help(format!(
                "continue it: synapse-workers restore {} --from {}; or remove what it has restored: synapse-workers \
                 uninstall --purge",
                begun.run,
                found.repository.location()
            )));
        }
        describe(common, &found, begun.is_some(), &report)?;
        host::interruption::watch();
        let begun = begun.unwrap_or_else(|| BegunRestore::new(&found.run.id));
        bring_back(common, &found, begun, &report).map_err(|failure| {
            failure.left("The restore is not complete. To continue, run the same command again.")
        })?;
    }
    let common = &Common {
        yes: true,
        ..common.clone()
    };
    let installed = install::install(
        common,
        &Flags::default(),
        &Change::None,
        false,
        TrialAction::None,
    );
    let code = installed.map_err(|failure| {
        failure
            .left("The data is restored. When the problem is solved, run: synapse-workers install")
    })?;
    BegunRestore::forget()?;
    report.say("note: never start the old server again: two servers with one name and signing key damage their rooms");
    Ok(code)
}

/// Refuses a host that has a server, or data of one. A restore that was interrupted has left such data.
fn refuse_existing(common: &Common, begun: bool) -> Result<(), Failure> {
    let refuse = |what: String| {
        Err(Failure::preflight(format!("this host already has a server: {what}")).help(
            "restore on another host; or, to replace this server, first remove it with all its data: synapse-workers uninstall \
             --purge",
        ))
    };
    if let Some(number) = Host::current() {
        return refuse(format!("generation {number} is installed"));
    }
    if begun {
        return Ok(());
    }
    let settings = common.settings.display().to_string();
    let files = [settings.as_str(), paths::SIGNING_KEY, paths::SQLITE];
    match files.into_iter().find(|path| host::exists(path)) {
        Some(path) => refuse(format!("{path} exists")),
        None => Ok(()),
    }
}

/// Validates the settings in the backup, prints what will be restored, and asks for confirmation.
fn describe(common: &Common, found: &Found, begun: bool, report: &Report) -> Result<(), Failure> {
    let staged = Common {
        root: Some(found.contents.root()),
        settings: PathBuf::from(paths::SETTINGS),
        env_file: None,
        ..common.clone()
    };
    let request = request::load(&staged, &Flags::default(), &Change::None)?;
    if !request.settings.adopt.config.is_empty() {
        return Err(Failure::preflight(
            "this is the backup of an adopted server, which another package installed",
        )
        .help("restore its files with restic, as synapse-workers-backup(7) describes"));
    }
    preflight::before_restore(&request, begun)?;
    let media = request.settings.media_store_path.as_str();
    if !begun && !host::names(media).is_empty() {
        return Err(Failure::preflight(format!(
            "the media store of the backup, {media}, is not empty on this host"
        ))
        .help(format!(
            "move its contents to another directory: mv {media} {media}.old"
        )));
    }
    let Found { run, manifest, .. } = found;
    let (server, time) = (&manifest.server, utc(run.time));
    report.say(format!("Backup {} of {server} from {time}:", run.id));
    report.say(format!(
        "  database ({}): {}",
        manifest.database, manifest.after
    ));
    report.say(format!("  media files: {}", manifest.media));
    for file in &manifest.files {
        report.say(format!("  {}", file.path));
    }
    report.say(format!("  {} in all", size(run.bytes.unwrap_or_default())));
    ask(common, "Restore this and install the server?")
}
