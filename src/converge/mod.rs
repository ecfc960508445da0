//! Converging: observe, plan, apply, verify, or return to where the host was.

mod apply;
mod errors;
mod executor;
mod fault;
mod rollback;
pub mod verify;
mod world;

pub use apply::OnHost;
pub use world::World;

use crate::failure::{Code, Failure};
use crate::host::interruption;
use crate::plan::step::Step;
use crate::plan::{Plan, Removal, SettingsChange, Target};
use crate::report::Report;
use crate::state::{Observed, State};
use executor::Executor;
use verify::Expected;

/// Where a command wants to get.
pub struct Goal<'a> {
    pub desired: &'a State,
    pub target: Target,
    pub removal: Removal,
    /// The SQLite file whose data moves to PostgreSQL on the way.
    pub moving: Option<String>,
    /// The settings file, when the command changes it.
    pub settings: Option<SettingsChange>,
    /// The settings that the generation is made from.
    pub settings_text: String,
    /// What asked for it, in the words of the command line.
    pub summary: String,
    /// What must be true afterwards.
    pub expected: Expected,
}

impl Goal<'_> {
    /// The plan, as it is printed and done.
    pub fn plan(&self, observed: &Observed) -> Plan {
        let mut plan = Plan::between(self.desired, observed, self.target, self.removal);
        if let Some(file) = &self.moving {
            plan = plan.moving(file, observed);
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
    pub failure: Failure,
    /// Whether the host is as it was before; else the failure names the command to run.
    pub undone: bool,
}

/// Installs missing programs, before the plan that needs them is made.
///
/// # Errors
/// When the package manager fails, which may leave some of the packages installed, or a signal asks this program to end.
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
    Executor::new(world, goal, observed)
        .apply(&plan, report)
        .map_err(|error| {
            Failure::from(error).ending(Code::Incomplete).left(
                "Packages may be installed in part; all else is as it was before. To continue, run: synapse-workers install --packages",
            )
        })
}

/// Brings a host to the goal by a plan that was made for it, or back to where it was.
///
/// # Errors
/// When a step or the verification fails, or a signal asks this program to end.
pub fn converge(
    world: &mut impl World,
    goal: &Goal,
    plan: &Plan,
    observed: &Observed,
    report: &Report,
) -> Result<(), ConvergeError> {
    let incomplete = |failure: Failure| ConvergeError {
        failure: failure.ending(Code::Incomplete),
        undone: false,
    };
    let mut work = Executor::new(world, goal, observed);
    let cause = match work.apply(plan, report) {
        Err(error) => Failure::from(error),
        Ok(()) if goal.expected.units.is_empty() => return Ok(()),
        Ok(()) => match report.step("  verify  units, health, routes", || {
            work.world.verify(&goal.expected)
        }) {
            // Only what was verified is a state to return to.
            Ok(()) => {
                let noted = work.world.applied(plan.generation).map_err(Failure::from);
                return noted.map_err(|failure| {
                    incomplete(failure.help("run synapse-workers install again"))
                });
            }
            Err(error) => Failure::from(error).ending(Code::RolledBack),
        },
    };
    if goal.target == Target::Nothing {
        let again = match goal.removal {
            Removal::Purge => "synapse-workers uninstall --purge",
            Removal::Keep | Removal::Undo => "synapse-workers uninstall",
        };
        return Err(incomplete(cause.left(format!(
            "Not everything is removed. To remove the rest, run: {again}"
        ))));
    }
    report.complain(format!("error: {cause}"));
    report.say("Rolling back.");
    // The cause stands last, where it is not scrolled away.
    let rolled_back = rollback::undo(work, goal, observed, report);
    match rolled_back {
        Ok(()) => Err(ConvergeError {
            failure: cause.left("the host is as it was before"),
            undone: true,
        }),
        Err(errors) => Err(incomplete(cause.left(format!(
            "The rollback is incomplete: {errors}\n\
             Repair that, then run: synapse-workers install"
        )))),
    }
}
