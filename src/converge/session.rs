//! The side of an agent: answers calls about a run on this host, and ends a run whose connection is lost.

use super::errors::Errors;
use super::fleet::Fleet;
use super::member::{Begun, Failed, Planned, Undone};
use super::remote::Call;
use super::run::Run;
use super::world::World;
use crate::failure::Failure;
use crate::plan::Target;
use crate::report::Report;
use anyhow::{Result, bail};
use serde_json::{Value, json};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Nothing is applied.
    Planned,
    /// A step was applied.
    Applying,
    /// All steps were applied and verified.
    Verified,
    /// The rollback has begun.
    RollingBack,
    /// The run has succeeded, or is rolled back.
    Ended,
}

/// The run of an agent.
pub struct Session<'a, W: World> {
    run: Run<'a, W>,
    progress: Progress,
    /// The errors of the rollback.
    errors: Errors,
}

impl<'a, W: World> Session<'a, W> {
    /// A session in which nothing is applied yet.
    pub fn new(run: Run<'a, W>) -> Self {
        Self {
            run,
            progress: Progress::Planned,
            errors: Errors::default(),
        }
    }

    /// Answers a call about the run.
    ///
    /// # Errors
    /// When the step or the verification fails, or when the call does not fit.
    pub fn answer(&mut self, call: &Call) -> Result<Value> {
        match call {
            Call::HandOver(secrets) => {
                self.run.hand_over(secrets);
                Ok(Value::Null)
            }
            Call::Apply(step) => {
                self.progress = Progress::Applying;
                self.run.between(*step)?;
                Ok(json!(self.run.apply(*step)?))
            }
            Call::Verify => {
                self.run.verify()?;
                self.progress = Progress::Verified;
                Ok(Value::Null)
            }
            Call::Applied => {
                self.succeed()?;
                Ok(Value::Null)
            }
            Call::BeginRollback => {
                self.progress = Progress::RollingBack;
                self.run.begin_rollback(&mut self.errors);
                let problem = (!self.errors.is_empty()).then(|| self.errors.to_string());
                Ok(json!(Begun {
                    plan: Planned::of(&self.run.way_back()),
                    problem,
                }))
            }
            Call::Undo(step, failed) => Ok(json!(self.undo(*step, *failed))),
            Call::EndRollback(failed) => {
                if *failed {
                    // Nothing is recorded as rolled back.
                    self.progress = Progress::Ended;
                    return Ok(Value::Null);
                }
                self.run.end_rollback(&mut self.errors);
                self.progress = Progress::Ended;
                std::mem::take(&mut self.errors)
                    .into_result()
                    .map_err(Errors::into_error)?;
                Ok(Value::Null)
            }
            Call::Release | Call::Prepare(_) | Call::Copy(_) => bail!("no call about a run"),
        }
    }

    /// Applies a step of the rollback, if it is still due.
    fn undo(&mut self, step: usize, failed: Failed) -> Undone {
        let any = failed.any || !self.errors.is_empty();
        if !self.run.is_due(step, Failed { any, ..failed }) {
            return Undone::NotDue;
        }
        match self.run.undo(step) {
            Ok(note) => Undone::Done(note),
            Err(error) => {
                let problem = format!("{error:#}");
                self.errors.record::<()>(Err(error));
                let stop = self.run.leaves_running();
                Undone::Failed { problem, stop }
            }
        }
    }

    /// Records the success. Nothing that a removal leaves has a record.
    fn succeed(&mut self) -> Result<()> {
        if self.run.goal().target != Target::Nothing {
            self.run.applied()?;
        }
        self.progress = Progress::Ended;
        Ok(())
    }

    /// Ends the session when the connection is closed. A run that has not ended is rolled back. But if its processes must
    /// not run beside those of the other hosts, whose state is not known here, they stop until the next `install`.
    ///
    /// # Errors
    /// With every part that failed.
    pub fn end(mut self, report: &Report) -> Result<(), Failure> {
        match self.progress {
            Progress::Planned | Progress::Ended => return Ok(()),
            Progress::Verified => return self.succeed().map_err(Failure::from),
            Progress::Applying | Progress::RollingBack => {}
        }
        if self.run.plan().stops_first() && self.run.is_seen() {
            return self.run.stop_synapse().map_err(Failure::from);
        }
        let fleet = Fleet {
            run: self.run,
            others: &mut [],
            report,
        };
        fleet
            .undo()
            .map_err(|errors| Failure::from(errors.into_error()))
    }
}
