//! Another host of a run.

use crate::plan::Plan;
use crate::plan::stage::Stage;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A step of a plan as it is printed and ordered. The host that it belongs to has the step itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// The step as it is printed.
    pub text: String,
    /// Its stage.
    pub stage: Stage,
}

impl Planned {
    /// The steps of a plan.
    pub fn of(plan: &Plan) -> Vec<Self> {
        let steps = plan.steps.iter().zip(plan.stages());
        let planned = steps.map(|(step, stage)| Self {
            text: step.to_string(),
            stage,
        });
        planned.collect()
    }
}

/// What has failed during a rollback so far, on any host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// Whether anything has failed: nothing is removed any more, because a process may still use it.
    pub any: bool,
    /// Whether a process of Synapse that should stop may still run: none starts beside it.
    pub stop: bool,
}

/// The result of a step of a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undone {
    /// It was not applied, because it would do harm after a step that failed.
    NotDue,
    /// It was applied, with a note about it.
    Done(Option<String>),
    /// It failed.
    Failed {
        /// The error.
        problem: String,
        /// As [`Failed::stop`], for this host.
        stop: bool,
    },
}

/// A rollback that has begun: its plan, and the error of what has no steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// The plan; empty if it could not be made.
    pub plan: Vec<Planned>,
    /// The errors so far.
    pub problem: Option<String>,
}

/// Another host during a run. Its methods are those of [`super::Run`], each called with the place of a step in its plan.
pub trait Member: Send {
    /// Its name.
    fn name(&self) -> &str;

    /// Its plan.
    fn plan(&self) -> Vec<Planned>;

    /// Applies a step of its plan, and returns a note about it.
    ///
    /// # Errors
    /// When the step fails, or when the host does not answer.
    fn apply(&mut self, step: usize) -> Result<Option<String>>;

    /// Verifies its processes.
    ///
    /// # Errors
    /// With all differences from the expected state, or when the host does not answer.
    fn verify(&mut self) -> Result<()>;

    /// Records that the run has succeeded.
    ///
    /// # Errors
    /// When the record cannot be written, or when the host does not answer.
    fn applied(&mut self) -> Result<()>;

    /// Begins the rollback, and returns its plan.
    ///
    /// # Errors
    /// When the host does not answer.
    fn begin_rollback(&mut self) -> Result<Begun>;

    /// Applies a step of the rollback, unless it would do harm after what has failed.
    ///
    /// # Errors
    /// When the host does not answer.
    fn undo(&mut self, step: usize, failed: Failed) -> Result<Undone>;

    /// Ends the rollback. `failed` is whether anything has failed on any host.
    ///
    /// # Errors
    /// When the records cannot be written, or when the host does not answer.
    fn end_rollback(&mut self, failed: bool) -> Result<()>;
}
