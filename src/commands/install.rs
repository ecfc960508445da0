//! `install`, and the commands that edit the settings before it: `scale`, `add`, `remove` and `migrate-database`.

use super::apply::{finish, prepare};
use super::packages::{self, Installed};
use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::failure::Failure;
use crate::host::{self};
use crate::plan::Plan;
use crate::plan::step::Step;
use crate::preflight::Purpose;
use crate::report::Report;
use crate::request::SettingsEdit as Change;
use crate::request::{self};
use crate::settings::types::Duration;
use crate::state::cluster::DebianCluster;
use std::process::ExitCode;

/// Runs `synapse-workers install`, or the last part of a command that edits the settings.
pub fn install(
    common: &Common,
    flags: &Flags,
    change: &Change,
    packages: bool,
    time: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    // Errors in the settings are reported first, even while another run holds the lock.
    request::load(common, flags, change)?;
    let _lock = host::lock_if_root()?;
    trial::refuse()?;
    let action = TrialAction::from(time);
    let Installed {
        prepared,
        confirmed,
    } = match packages {
        true => packages::install(common, flags, change, action, &report)?,
        false => Installed {
            prepared: prepare(common, flags, change, Purpose::Run)?,
            confirmed: None,
        },
    };
    for note in &prepared.request.notes {
        report.say(format!("note: {note}"));
    }
    let goal = prepared.goal(change.summary());
    let plan = goal.plan(&prepared.observed);
    let common = &Common {
        yes: common.yes || confirmed.as_ref() == Some(&plan),
        ..common.clone()
    };
    let (host, observed) = (&prepared.host, &prepared.observed);
    let code = finish(common, host, &goal, &plan, observed, &report, action);
    let code = code.map_err(|failure| match confirmed {
        Some(_) => packages::incomplete(failure),
        None => failure,
    })?;
    for note in restart_of_postgres(&plan) {
        report.say(format!("note: {note}"));
    }
    if let Some(file) = &goal.moving {
        report.say(format!(
            "Retained: {file}, with the data from when the server stopped; Synapse no longer uses it"
        ));
    }
    Ok(code)
}

/// The notes on files of PostgreSQL that the plan writes or removes. Its restart ends every connection, of other databases
/// too, so the administrator chooses the time.
fn restart_of_postgres(plan: &Plan) -> impl Iterator<Item = String> {
    let changed = plan.steps.iter().filter_map(|step| match step {
        Step::WriteFile { path, .. } | Step::RemoveFile { path } => {
            Some((path, DebianCluster::of_file(path)?))
        }
        _ => None,
    });
    changed.map(|(path, cluster)| {
        format!(
            "PostgreSQL applies the change of {path} when it restarts, when few users are active: systemctl restart {}",
            cluster.unit()
        )
    })
}

/// Runs `scale`, `add` or `remove`: edits the settings file, then installs.
pub fn edit(common: &Common, change: Change, time: Option<Duration>) -> Result<ExitCode, Failure> {
    install(common, &Flags::default(), &change, false, time)
}
