//! `backup`: makes, lists and checks backups.

mod check;
mod existing;
mod list;
mod now;

pub(super) use now::{back_up, size};

use super::installed::running;
use crate::cli::{BackupAction, Common};
use crate::failure::Failure;
use crate::host::{self};
use crate::report::outln;
use crate::state::paths;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Runs `synapse-workers backup`.
///
/// # Errors
/// When the repository cannot be used, or when a part of the server cannot be read.
pub fn backup(common: &Common, action: BackupAction, restore: bool) -> Result<ExitCode, Failure> {
    if restore && action != BackupAction::Check {
        return Err(Failure::usage(
            "--restore: only `backup check` has this option",
        ));
    }
    if !host::is_root() {
        return Err(Failure::preflight("this needs root").help("sudo synapse-workers …"));
    }
    let (_, request) = running()?;
    match action {
        BackupAction::Now => now::now(common, &request),
        BackupAction::List => list::list(common, &request),
        BackupAction::Check => check::check(common, &request, restore),
        BackupAction::Password => password(),
    }
}

/// Prints the password of the repository, but only where nothing records it.
fn password() -> Result<ExitCode, Failure> {
    let file = paths::secret(paths::BACKUP_PASSWORD);
    if !std::io::stdout().is_terminal() {
        return Err(Failure::usage("the password is printed on a terminal only")
            .help(format!("sudo cat {file}")));
    }
    let password = host::read_text(&file)?.ok_or_else(|| {
        Failure::preflight(format!("{file} is missing"))
            .help("set backup.repository in the settings file, then: synapse-workers install")
    })?;
    outln!("{}", password.trim_end());
    Ok(ExitCode::SUCCESS)
}
