//! `install`, and the commands that edit the settings before it: `scale`, `add`, `remove` and `migrate-database`.

use super::apply::{Planned, finish};
use super::closing::{self, Closing};
use super::hosts;
use super::packages::{self, Installed};
use super::prepared::prepare;
use super::questions;
use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::{self};
use crate::preflight::Purpose;
use crate::report::Report;
use crate::request::SettingsEdit as Change;
use crate::request::{self};
use crate::settings::types::Duration;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers install`, or the last part of a command that edits the settings.
pub fn install(
    common: &Common,
    flags: &Flags,
    change: &Change,
    packages: bool,
    action: TrialAction,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let flags = &match change {
        Change::None => questions::ask(common, flags)?,
        _ => flags.clone(),
    };
    // Errors in the settings are reported first, even while another run holds the lock.
    request::load(common, flags, change)?;
    let _lock = host::lock_if_root()?;
    trial::refuse()?;
    run(common, flags, change, packages, action, &report)
}

/// The same, after the lock is taken, and whether or not a change is on trial.
pub(super) fn run(
    common: &Common,
    flags: &Flags,
    change: &Change,
    packages: bool,
    action: TrialAction,
    report: &Report,
) -> Result<ExitCode, Failure> {
    loop {
        if let Some(code) = attempt(common, flags, change, packages, action, report)? {
            return Ok(code);
        }
        report.say("Planning again with these requests sent to the main process.");
    }
}

/// One run. The result is `None` if it was rolled back because it asked a Synapse of an unknown release for its
/// endpoints, and the answer leads to other routes.
fn attempt(
    common: &Common,
    flags: &Flags,
    change: &Change,
    packages: bool,
    action: TrialAction,
    report: &Report,
) -> Result<Option<ExitCode>, Failure> {
    let Installed {
        prepared,
        confirmed,
    } = match packages {
        true => packages::install(common, flags, change, action, report)?,
        false => Installed {
            prepared: prepare(common, flags, change, Purpose::Run)?,
            confirmed: None,
        },
    };
    for note in prepared.notes() {
        report.say(note);
    }
    let goal = prepared.goal(change.summary(&flags.without));
    let plan = prepared.plan(&goal);
    let mut prepared = prepared;
    if !plan.stops_first() {
        hosts::defer(&mut prepared.others);
    }
    let common = &Common {
        yes: common.yes || confirmed.as_ref() == Some(&plan),
        ..common.clone()
    };
    let others = std::mem::take(&mut prepared.others);
    hosts::print_notes(&others, |note| report.say(note));
    let goal = prepared.goal(change.summary(&flags.without));
    let (host, observed) = (&prepared.host, &prepared.observed);
    let planned = Planned {
        host,
        goal: &goal,
        plan: &plan,
        observed,
        others,
    };
    let finished = finish(common, planned, report, action);
    if finished.is_err() && host.has_learned_routes() {
        return Ok(None);
    }
    let mut finished = finished.map_err(|failure| match confirmed {
        Some(_) => packages::incomplete(failure),
        None => failure,
    })?;
    if let Some(file) = &goal.moving {
        report.say(format!(
            "Retained: {file}, with the data from when the server stopped; Synapse no longer uses it"
        ));
    }
    // Only `install` sets a server up; the commands that edit the settings need one.
    if matches!(change, Change::None) {
        let closing = Closing::new(closing::gather(&prepared));
        finished.lines = closing.lines(finished.changed == 0);
        finished.server = Some(json!(closing));
    }
    finished.print(common, report);
    Ok(Some(ExitCode::SUCCESS))
}

/// Runs `scale`, `add` or `remove`: edits the settings file, then installs.
pub fn edit(common: &Common, change: Change, time: Option<Duration>) -> Result<ExitCode, Failure> {
    install(common, &Flags::default(), &change, false, time.into())
}
