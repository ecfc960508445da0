//! All hosts of a run: this one, and others on which agents work. They go through the stages of their plans together.

use super::errors::Errors;
use super::member::{Begun, Failed, Member, Planned, Undone};
use super::run::{Run, VERIFICATION};
use super::world::World;
use crate::plan::stage::{Section, Stage, sections};
use crate::report::Report;
use anyhow::{Error, Result, anyhow};
use std::ops::Range;
use std::time::{Duration, Instant};

/// All hosts during a run.
pub(super) struct Fleet<'m, 'a, W: World> {
    /// This host.
    pub run: Run<'a, W>,
    /// The other hosts.
    pub others: &'m mut [Box<dyn Member>],
    pub report: &'m Report,
}

/// A step of another host that has ended.
struct Ended {
    step: usize,
    time: Duration,
    result: Result<Undone>,
}

/// The direction of a section.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// A failed step is the last one.
    Forward,
    /// Steps are applied after a failed one as well, unless they would do harm. The value is what has failed in earlier
    /// sections.
    Back(Failed),
}

impl<W: World> Fleet<'_, '_, W> {
    /// Applies all steps of all hosts, until one fails or a signal ends the run.
    ///
    /// # Errors
    /// With the failure of each host.
    pub fn apply(&mut self) -> Result<()> {
        let plans: Vec<Vec<Planned>> = self.others.iter().map(|member| member.plan()).collect();
        for section in sections(&stages(self.run.plan().stages(), &plans)) {
            let mut errors = Errors::default();
            let steps = section.steps[0].clone();
            let own = |run: &mut Run<W>, report: &Report, errors: &mut Errors| {
                let mut steps = steps;
                errors.record(steps.try_for_each(|step| own_step(run, step, report)));
            };
            self.section(&section, &plans, &mut errors, Direction::Forward, own);
            errors.into_result().map_err(Errors::into_error)?;
        }
        self.run.between(self.run.plan().steps.len())
    }

    /// Applies the steps of a section: those of this host here, and those of the others beside them. Returns whether a process
    /// of another host may still run because a rollback could not stop it.
    fn section(
        &mut self,
        section: &Section,
        plans: &[Vec<Planned>],
        errors: &mut Errors,
        direction: Direction,
        own: impl FnOnce(&mut Run<W>, &Report, &mut Errors),
    ) -> bool {
        let (run, report) = (&mut self.run, self.report);
        let ended: Vec<Vec<Ended>> = std::thread::scope(|scope| {
            let others = self.others.iter_mut().zip(&section.steps[1..]);
            let working: Vec<_> = others
                .map(|(member, steps)| {
                    scope.spawn(move || steps_of(member.as_mut(), steps.clone(), direction))
                })
                .collect();
            own(run, report, errors);
            let ended = working.into_iter().map(|it| it.join().unwrap_or_default());
            ended.collect()
        });
        let mut runs = false;
        for ((member, plan), ended) in self.others.iter().zip(plans).zip(ended) {
            for Ended { step, time, result } in ended {
                let result = match result {
                    Ok(Undone::NotDue) => continue,
                    Ok(Undone::Failed { problem, stop }) => {
                        runs |= stop;
                        Err(anyhow!(problem))
                    }
                    Ok(Undone::Done(note)) => Ok(note),
                    Err(error) => Err(error),
                };
                let text = format!("{}: {}", member.name(), plan[step].text);
                report.ended(&text, time, result.is_ok());
                let done = errors.record(result.map_err(|error| of(member.name(), error)));
                say_note(report, done.flatten());
            }
        }
        runs
    }

    /// Verifies all hosts.
    ///
    /// # Errors
    /// With the differences on each host.
    pub fn verify(&mut self) -> Result<()> {
        let (run, others) = (&mut self.run, &mut *self.others);
        self.report.step(VERIFICATION, || {
            let mut errors = Errors::default();
            for member in others {
                errors.record(member.verify().map_err(|error| of(member.name(), error)));
            }
            // The routes lead to all hosts, so their processes come first.
            if errors.is_empty() {
                errors.record(run.verify());
            }
            errors.into_result().map_err(Errors::into_error)
        })
    }

    /// Records the success on all hosts.
    ///
    /// # Errors
    /// When a record cannot be written.
    pub fn applied(&mut self) -> Result<()> {
        let mut errors = Errors::default();
        for member in &mut *self.others {
            errors.record(member.applied().map_err(|error| of(member.name(), error)));
        }
        errors.record(self.run.applied());
        errors.into_result().map_err(Errors::into_error)
    }

    /// Ends the run on the other hosts after a removal, which is not rolled back.
    pub fn leave(&mut self) {
        for member in &mut *self.others {
            // A host that does not answer has nothing to roll back to either.
            let _ = member.applied();
        }
    }

    /// Rolls all hosts back.
    ///
    /// # Errors
    /// With every part of the rollback that failed.
    pub fn undo(mut self) -> Result<(), Errors> {
        let mut errors = Errors::default();
        self.run.begin_rollback(&mut errors);
        let mut plans = Vec::new();
        for member in &mut *self.others {
            let begun = member.begin_rollback();
            let begun = errors.record(begun.map_err(|error| of(member.name(), error)));
            let Begun { plan, problem } = begun.unwrap_or_default();
            errors
                .record(problem.map_or(Ok(()), |problem| Err(of(member.name(), anyhow!(problem)))));
            plans.push(plan);
        }
        let back = self.run.way_back();
        let mut stop = false;
        for section in sections(&stages(back.stages(), &plans)) {
            let steps = section.steps[0].clone();
            let any = !errors.is_empty();
            let own = |run: &mut Run<W>, report: &Report, errors: &mut Errors| {
                for step in steps {
                    let any = !errors.is_empty();
                    if run.is_due(step, Failed { any, stop }) {
                        let text = &back.steps[step];
                        let undone = report.step(text, || run.undo(step));
                        say_note(report, errors.record(undone).flatten());
                    }
                }
            };
            let direction = Direction::Back(Failed { any, stop });
            stop |= self.section(&section, &plans, &mut errors, direction, own);
            stop |= self.run.leaves_running();
        }
        let failed = !errors.is_empty();
        for member in &mut *self.others {
            let ended = member.end_rollback(failed);
            errors.record(ended.map_err(|error| of(member.name(), error)));
        }
        self.run.end_rollback(&mut errors);
        errors.into_result()
    }
}

/// The stages of this host and of the others.
fn stages(own: Vec<Stage>, plans: &[Vec<Planned>]) -> Vec<Vec<Stage>> {
    let others = plans.iter();
    let others = others.map(|plan| plan.iter().map(|step| step.stage).collect());
    std::iter::once(own).chain(others).collect()
}

/// Applies a step of this host.
fn own_step<W: World>(run: &mut Run<W>, step: usize, report: &Report) -> Result<()> {
    run.between(step)?;
    let text = &run.plan().steps[step];
    let note = report.step(text, || run.apply(step))?;
    say_note(report, note);
    Ok(())
}

fn say_note(report: &Report, note: Option<String>) {
    if let Some(note) = note {
        report.say(format!("          {note}"));
    }
}

/// Applies the steps of another host in order. In a rollback, the host decides which steps are still due.
fn steps_of(member: &mut dyn Member, steps: Range<usize>, direction: Direction) -> Vec<Ended> {
    let mut ended = Vec::new();
    for step in steps {
        let begun = Instant::now();
        let result = match direction {
            Direction::Forward => member.apply(step).map(Undone::Done),
            Direction::Back(failed) => member.undo(step, failed),
        };
        let failed = result.is_err();
        ended.push(Ended {
            step,
            time: begun.elapsed(),
            result,
        });
        if failed && direction == Direction::Forward {
            break;
        }
    }
    ended
}

/// An error of another host.
fn of(name: &str, error: Error) -> Error {
    error.context(name.to_owned())
}

#[cfg(test)]
mod tests;
