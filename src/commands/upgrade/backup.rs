//! The backup before an upgrade.

use super::super::backup::back_up;
use super::super::confirmation::confirmed;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host;
use crate::host::backup;
use crate::report::Report;
use crate::request::Request;

/// The age in seconds up to which a backup is offered no other one beside it.
const RECENT: u64 = 3600;

/// Refuses `--backup` on a server without backups.
pub fn refuse(request: &Request) -> Result<(), Failure> {
    match request.settings.backup.is_on() {
        true => Ok(()),
        false => Err(Failure::usage(
            "--backup: this server has no backups, because backup.repository is empty",
        )
        .help(
            "set backup.repository in the settings file, then: synapse-workers install --packages",
        )),
    }
}

/// Makes a backup if `wanted` is set. Otherwise prints the age of the newest one, and offers a backup at a terminal if
/// that is not recent.
pub fn offer(
    common: &Common,
    request: &Request,
    wanted: bool,
    report: &Report,
) -> Result<(), Failure> {
    if !request.settings.backup.is_on() {
        report.say(
            "note: this server has no backups (backup.repository); to dump the database by hand with pg_dump, see \
             synapse-workers-backup(7)",
        );
        return Ok(());
    }
    let age = backup::last().map(|last| host::now().saturating_sub(last.time));
    let recent = age.is_some_and(|age| age <= RECENT);
    let found = match age {
        None => "there is no complete backup yet".to_owned(),
        Some(age) if age < 2 * RECENT => format!("the newest backup is {} minutes old", age / 60),
        Some(age) => format!("the newest backup is {} hours old", age / 3600),
    };
    if !wanted {
        report.say(format!("note: {found}"));
    }
    let agreed = || !common.json && confirmed(common, "Make a backup first?") == Some(true);
    if wanted || (!recent && agreed()) {
        back_up(request, report)?;
        host::interruption::unwatch();
    }
    Ok(())
}
