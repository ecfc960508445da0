//! Converging: observe, plan, apply, verify, and roll back on failure.

mod apply;
mod count;
mod errors;
mod executor;
mod fault;
mod fleet;
mod member;
mod remote;
mod run;
mod session;
pub mod verify;
mod world;

pub use apply::OnHost;
pub use member::{Begun, Failed, Member, Planned, Undone};
pub use remote::{Call, Prepared, Remote, Task, Work, check_keys_of_root};
pub use run::Run;
pub use session::Session;
pub use world::World;

use crate::failure::{Code, Failure};
use crate::host::interruption;
use crate::plan::step::Step;
use crate::plan::{Plan, Removal, SettingsChange, Target};
use crate::report::Report;
use crate::state::{Observed, State};
use fleet::Fleet;
use verify::Expected;

/// The state that a command leads to, and how it gets there.
pub struct Goal<'a> {
    /// The files, units and resources that the host has afterwards.
    pub desired: &'a State,
    /// The generation that `current` links to afterwards.
    pub target: Target,
    /// The resources that are removed because the desired state lacks them.
    pub removal: Removal,
    /// The SQLite file whose data the run moves to PostgreSQL.
    pub moving: Option<String>,
    /// The change of the settings file, if the command makes one.
    pub settings: Option<SettingsChange>,
    /// The settings that the generation is rendered from.
    pub settings_text: String,
    /// A summary of the command, as the manifest of the generation records it.
    pub summary: String,
    /// The conditions that verification checks after the last step.
    pub expected: Expected,
}

impl Goal<'_> {
    /// The plan, as it is printed and applied.
    pub fn plan(&self, observed: &Observed) -> Plan {
        let mut plan = Plan::between(self.desired, observed, self.target, self.removal);
        if let Some(file) = &self.moving {
            plan = plan.with_move(file, observed);
        }
        if let Some(change) = &self.settings {
            let path = change.path.display().to_string();
            let what = change.what.clone();
            match change.after {
                Some(_) => plan.steps.insert(0, Step::WriteSettings { path, what }),
                None => plan.steps.push(Step::RemoveSettings { path }),
            }
        }
        plan
    }
}

/// A run that did not reach its goal.
pub struct ConvergeError {
    /// The cause, with the exit status and the state in which the host was left.
    pub failure: Failure,
    /// Whether the host is as it was before; if not, the failure names the command to run.
    pub rolled_back: bool,
}

/// Installs missing programs before the other steps are planned, because the plan depends on the programs.
///
/// # Errors
/// When the package manager fails, which may leave some of the packages installed, or when a signal ends the run.
pub fn install_programs(
    world: &mut impl World,
    goal: &Goal,
    observed: &Observed,
    step: Step,
    report: &Report,
) -> Result<(), Failure> {
    interruption::watch();
    let plan = Plan {
        steps: vec![step],
        generation: None,
    };
    let mut fleet = Fleet {
        run: Run::new(world, goal, &plan, observed),
        others: &mut [],
        report,
    };
    fleet
        .apply()
        .map_err(|error| {
            Failure::from(error).ending(Code::Incomplete).left(
                "Some of the packages may be installed; nothing else was changed. To continue, run: synapse-workers install --packages",
            )
        })
}

/// Brings the host to the goal by this plan, or rolls it back.
///
/// # Errors
/// When a step or the verification fails, or when a signal ends the run.
pub fn converge(
    world: &mut impl World,
    goal: &Goal,
    plan: &Plan,
    observed: &Observed,
    report: &Report,
) -> Result<(), ConvergeError> {
    converge_all(Run::new(world, goal, plan, observed), &mut [], report)
}

/// Brings this host and others to their goals, or rolls all of them back.
///
/// # Errors
/// As [`converge`], on any of the hosts.
pub fn converge_all<W: World>(
    run: Run<W>,
    others: &mut [Box<dyn Member>],
    report: &Report,
) -> Result<(), ConvergeError> {
    let incomplete = |failure: Failure| ConvergeError {
        failure: failure.ending(Code::Incomplete),
        rolled_back: false,
    };
    let goal = run.goal();
    let others_count = others.len();
    let mut fleet = Fleet {
        run,
        others,
        report,
    };
    let cause = match fleet.apply() {
        Err(error) => Failure::from(error),
        Ok(()) if !fleet.run.is_verifiable() => {
            fleet.leave();
            return Ok(());
        }
        Ok(()) => match fleet.verify() {
            Ok(()) => {
                let recorded = fleet.applied().map_err(Failure::from);
                return recorded
                    .map_err(|failure| incomplete(failure.help("synapse-workers install")));
            }
            Err(error) => Failure::from(error).ending(Code::RolledBack),
        },
    };
    if goal.target == Target::Nothing {
        fleet.leave();
        let command = match goal.removal {
            Removal::Purge => "synapse-workers uninstall --purge",
            Removal::Keep | Removal::Undo => "synapse-workers uninstall",
        };
        return Err(incomplete(cause.left(format!(
            "The removal is incomplete. To remove the rest, run: {command}"
        ))));
    }
    report.complain(format!("error: {cause}"));
    report.say("Rolling back.");
    // The cause is printed last, so that it does not scroll away.
    match fleet.undo() {
        Ok(()) => Err(ConvergeError {
            failure: cause.left(match others_count {
                0 => "the host is as it was before",
                _ => "the hosts are as they were before",
            }),
            rolled_back: true,
        }),
        Err(errors) => Err(incomplete(cause.left(format!(
            "The rollback is incomplete: {errors}\n\
             Correct this, then run: synapse-workers install"
        )))),
    }
}
