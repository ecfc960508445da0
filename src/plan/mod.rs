//! The plan: the difference of two states as an ordered list of steps. Pure; nothing here touches the host.
//!
//! Order: what must exist → the new generation and its judges → the switch and the files on the host → what must not
//! run at once stops → Redis → main until it is ready → workers → nginx → the rest → what is no longer wanted stops and goes.

mod changes;
mod moving;
pub mod names;
mod planner;
mod records;
mod restarts;
pub mod rules;
pub mod schema;
pub mod state;
pub mod step;
pub mod trial;

pub use changes::foreign;
pub use records::Records;
pub use restarts::{outdated, reason};

use changes::changes;
use planner::Planner;
use state::{Observed, Resource, State};
use step::{Judge, Step};

/// What becomes of resources that are not desired any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Those that could not be made again stay.
    Keep,
    /// Whatever this program made goes.
    Purge,
    /// What is recorded as made goes, and nothing else: the way back from a run that failed.
    Undo,
}

/// Where the generation that is switched to comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Rendered now, written as the next generation if it differs.
    Rendered,
    /// On disk already.
    Generation(u32),
    /// None: everything goes.
    Nothing,
}

/// Steps in the order in which they are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// The generation that the processes run with afterwards.
    pub generation: Option<u32>,
}

impl Plan {
    /// The steps that lead from what was observed to what is desired.
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

    /// The way back from a run that failed. Where nothing was seen of it yet by processes or systemd, it is only about
    /// the resources that the run made.
    pub fn back(before: &State, observed: &Observed, target: Target, seen: bool) -> Self {
        let plan = Self::between(before, observed, target, Removal::Undo);
        if seen {
            return plan;
        }
        let ours = |step: &Step| match step {
            Step::Remove(_) => true,
            Step::Create(resource) => observed.made.iter().any(|made| resource.replaces(made)),
            _ => false,
        };
        Self {
            steps: plan.steps.into_iter().filter(ours).collect(),
            generation: None,
        }
    }

    /// How many steps change the host.
    pub fn changes(&self) -> usize {
        self.steps.iter().filter(|step| step.changes()).count()
    }

    /// Whether the database is asked for its schema, since another Synapse would run with it.
    pub fn asks_schema(&self) -> bool {
        let asks =
            |step: &Step| matches!(step, Step::Judge { judge, .. } if *judge == Judge::Schema);
        self.steps.iter().any(asks)
    }

    /// The place of a secret that this host has and that is written anew: nothing keeps the one before.
    pub fn given_anew(&self, observed: &Observed) -> Option<String> {
        self.steps.iter().find_map(|step| match step {
            Step::Create(secret @ Resource::Secret(_)) if observed.made.contains(secret) => {
                secret.secret_path()
            }
            _ => None,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}
