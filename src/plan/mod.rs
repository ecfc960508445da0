//! The plan: the difference of two states as an ordered list of steps. It is a pure function of these states; nothing
//! here touches the host.
//!
//! Order: create resources → write and validate the new generation → switch, and write the files on the host → stop
//! what must not run beside its successor → Redis → main until it is ready → workers → nginx → auxiliary services →
//! stop and remove what is obsolete.

mod changes;
mod database;
mod moving;
mod planner;
mod resources;
mod restarts;
pub mod schema;
mod settings_change;
pub mod stage;
#[expect(missing_docs)]
pub mod step;
mod step_text;
mod unit_jobs;
mod validated;
mod validation;

pub use changes::foreign;
pub use restarts::{outdated, reason};
pub use settings_change::SettingsChange;

use crate::state::{Observed, Resource, State};
use changes::changes;
use planner::Planner;
use serde::{Deserialize, Serialize};
use step::{Step, Validator};

/// What happens to resources that are no longer desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// Resources that cannot be created again stay.
    Keep,
    /// All resources that this program created are removed.
    Purge,
    /// Only resources that are recorded as created are removed: the rollback of a failed run.
    Undo,
}

/// The source of the generation that the plan switches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Rendered in this run, and written as the next generation if it differs.
    Rendered,
    /// An existing generation on disk.
    Generation(u32),
    /// No generation: everything is removed.
    Nothing,
}

/// Steps in the order in which they are applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps. Some only check something, see [`Plan::changes`].
    pub steps: Vec<Step>,
    /// The generation that the processes run with afterwards.
    pub generation: Option<u32>,
}

impl Plan {
    /// The steps that lead from the observed to the desired state.
    pub fn between(desired: &State, observed: &Observed, target: Target, removal: Removal) -> Self {
        Planner {
            desired,
            observed,
            target,
            removal,
            changes: changes(desired, observed),
        }
        .plan()
    }

    /// The rollback of a failed run. If neither processes nor systemd have seen anything of that run, the rollback only
    /// concerns the resources that the run created.
    pub fn back(before: &State, observed: &Observed, target: Target, seen: bool) -> Self {
        let plan = Self::between(before, observed, target, Removal::Undo);
        if seen {
            return plan;
        }
        let of_this_run = |step: &Step| match step {
            Step::Remove(_) => true,
            Step::Create(resource) => observed
                .created
                .iter()
                .any(|created| resource.replaces(created)),
            _ => false,
        };
        Self {
            steps: plan.steps.into_iter().filter(of_this_run).collect(),
            generation: None,
        }
    }

    /// The number of steps that change the host.
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.changes()).count()
    }

    /// Whether the plan checks the schema of the database, because another release of Synapse is about to use it.
    pub fn checks_schema(&self) -> bool {
        self.steps.iter().any(|step| {
            matches!(step, Step::Validate { validator, .. } if *validator == Validator::Schema)
        })
    }

    /// The path of a secret that exists on this host and is replaced. No copy of the old secret remains.
    pub fn replaced_secret(&self, observed: &Observed) -> Option<String> {
        self.steps.iter().find_map(|step| match step {
            Step::Create(secret @ Resource::Secret(_)) if observed.created.contains(secret) => {
                secret.secret_path()
            }
            _ => None,
        })
    }

    /// Whether there is nothing to do, so that the command neither asks nor verifies.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
