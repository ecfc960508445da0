//! `install --packages`: installs missing programs, as the first step of the plan and in a run of its own.
//!
//! Rendering depends on the programs of the host (their versions, names and modules), so the plan is computed again
//! after their installation. It is shown again only if it differs from the confirmed one.

use super::apply::refuse;
use super::confirmation::agree;
use super::hosts;
use super::prepared::{Prepared, prepare};
use super::trial::TrialAction;
use crate::cli::{Common, Flags};
use crate::converge::{self, OnHost};
use crate::failure::{Code, Failure};
use crate::host::programs;
use crate::plan::Plan;
use crate::plan::step::Step;
use crate::preflight::Purpose;
use crate::report::Report;
use crate::request::SettingsEdit as Change;

/// The host with all its programs, and the plan that was confirmed together with their installation.
pub struct Installed {
    pub prepared: Prepared,
    /// `None` if no program was missing.
    pub confirmed: Option<Plan>,
}

/// Installs missing programs, after the host has passed every other check and the plan is confirmed.
///
/// # Errors
/// When a check fails or the plan is not confirmed; the host is then unchanged. Later errors are those of an incomplete
/// run.
pub fn install(
    common: &Common,
    flags: &Flags,
    change: &Change,
    action: TrialAction,
    report: &Report,
) -> Result<Installed, Failure> {
    let mut prepared = prepare(common, flags, change, Purpose::InstallPrograms)?;
    let facts = &prepared.host.facts;
    let command = programs::install_command(facts).filter(|_| !facts.missing.is_empty());
    let Some(command) = command else {
        return Ok(Installed {
            prepared,
            confirmed: None,
        });
    };
    let missing = facts.missing.iter().map(ToString::to_string).collect();
    let command = command.iter().map(ToString::to_string).collect();
    let others = std::mem::take(&mut prepared.others);
    let step = Step::InstallPrograms {
        programs: missing,
        command,
    };
    let goal = prepared.goal(change.summary(&flags.without));
    let rest = goal
        .plan(&prepared.observed)
        .draining(hosts::leaving(&others));
    action.check(&rest, &prepared.observed, &others)?;
    refuse(&prepared.host, &prepared.desired, &rest, &prepared.observed)?;
    let steps = [std::slice::from_ref(&step), &rest.steps[..]].concat();
    let whole = Plan {
        steps,
        generation: rest.generation,
    };
    agree(common, &whole, &others)?;
    // The next inspection connects again, and a connection holds the lock of its host.
    drop(others);
    let world = &mut OnHost::new(&prepared.host);
    converge::install_programs(world, &goal, &prepared.observed, step, report)?;
    let prepared = prepare(common, flags, change, Purpose::Run).map_err(incomplete)?;
    Ok(Installed {
        prepared,
        confirmed: Some(rest),
    })
}

/// The failure of a run that has installed programs: they remain, so the host is not as it was before.
pub fn incomplete(failure: Failure) -> Failure {
    match failure.code {
        Code::Incomplete => failure,
        _ => failure.ending(Code::Incomplete).left(
            "The programs that this run installed remain; nothing else was changed. To continue, run: synapse-workers install",
        ),
    }
}
