//! `upgrade`: finds a newer release of Synapse, shows what it changes, and installs it by the path of `install`.

mod backup;
mod changes;
mod check;
mod server;

pub use check::check;

use super::install::install;
use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::{self, releases};
use crate::report::{Report, outln};
use crate::request::{self, SettingsEdit};
use crate::settings::types::{Duration, Version};
use crate::settings::value::Scalar;
use changes::Changes;
use serde_json::json;
use server::Server;
use std::process::ExitCode;

/// Runs `synapse-workers upgrade [VERSION]`.
///
/// # Errors
/// When there is no such release, when it is older than the one that runs, or when `install` fails.
pub fn upgrade(
    common: &Common,
    version: Option<Version>,
    backup: bool,
    time: Option<Duration>,
) -> Result<ExitCode, Failure> {
    if !host::is_root() {
        return Err(Failure::preflight("upgrade needs root").help("sudo synapse-workers upgrade"));
    }
    let server = Server::running()?;
    trial::refuse()?;
    if backup {
        backup::refuse(&server.request)?;
    }
    let report = Report::new(common.json);
    let target = match &version {
        Some(version) => version.as_str().to_owned(),
        None => server.newest(&report)?,
    };
    if target == server.version {
        let text = match version {
            Some(_) => format!("Synapse {target} runs already."),
            None => format!("Synapse {target} is the newest release, and runs."),
        };
        report.say(text);
        if common.json {
            outln!("{}", json!({"changed": 0, "trial": null}));
        }
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(failure) = server.refuses(&target) {
        return Err(failure);
    }
    let version = Version::parse(&target).map_err(Failure::usage)?;
    let edit = SettingsEdit::Upgrade(version);
    // A setting that the new release refuses is reported before the download.
    let request = request::load(common, &Flags::default(), &edit)?;
    // The download and the backup can be interrupted; after them there are questions, which a signal ends as usual.
    host::interruption::watch();
    let code = report.step(
        format!("download  Synapse {target} to read the schema of its database; nothing is installed yet"),
        || releases::schema(server.python(), &target),
    )?;
    let schema = server.schema()?;
    let changes = Changes::of(&request, &server.version, &target, code, schema);
    report.say(&changes);
    if let Some(warning) = changes.warning() {
        report.complain(warning);
    }
    let action = match time {
        Some(time) if changes.can_return() == Some(true) => TrialAction::StartReversible(time),
        Some(_) => return Err(trial::irreversible()),
        None => TrialAction::None,
    };
    host::interruption::unwatch();
    backup::offer(common, &server.request, backup, &report)?;
    install(common, &Flags::default(), &edit, false, action)
}
