//! One host during a run: its plan, the records of what it created, and the way back.

use super::Goal;
use super::errors::Errors;
use super::executor::{Executor, is_harmful_after, leaves_running, starts_synapse};
use super::member::Failed;
use super::verify::Expected;
use super::world::World;
use crate::plan::step::{Step, Verb};
use crate::plan::{Plan, Removal, Target};
use crate::state::units;
use crate::state::{Observed, State};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// The line of a run for what follows the last step.
pub(super) const VERIFICATION: &str = "  verify  units, health, routes";

/// A host during a run.
pub struct Run<'a, W: World> {
    world: &'a mut W,
    goal: &'a Goal<'a>,
    plan: &'a Plan,
    /// The state that was observed before the run.
    found: &'a Observed,
    executor: Executor<W::Backup>,
    back: Option<Back<W::Backup>>,
}

/// The way back: a plan like any other, to the previous generation or to the empty state.
struct Back<B> {
    before: State,
    target: Target,
    observed: Observed,
    plan: Plan,
    executor: Executor<B>,
    /// The steps that have failed, by their places in the plan.
    failed: Vec<usize>,
}

impl<'a, W: World> Run<'a, W> {
    /// Nothing of the plan is applied yet.
    pub fn new(world: &'a mut W, goal: &'a Goal<'a>, plan: &'a Plan, found: &'a Observed) -> Self {
        Self {
            world,
            goal,
            plan,
            found,
            executor: Executor::new(found),
            back: None,
        }
    }

    /// The goal.
    pub fn goal(&self) -> &'a Goal<'a> {
        self.goal
    }

    /// The plan.
    pub fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// Called before each step, and after the last one.
    ///
    /// # Errors
    /// When a signal or a fail point ends the run here.
    pub fn between(&mut self, step: usize) -> Result<()> {
        let text = self.plan.steps.get(step).map(ToString::to_string);
        self.world
            .between(step, text.as_deref().unwrap_or(VERIFICATION))
    }

    /// Applies a step of the plan.
    ///
    /// # Errors
    /// When the step fails; the host may then have a part of it.
    pub fn apply(&mut self, step: usize) -> Result<Option<String>> {
        let step = self.plan.steps.get(step).context("there is no such step")?;
        self.executor.step(self.world, self.goal, step)
    }

    /// Takes over secrets of the first host.
    pub(super) fn hand_over(&mut self, secrets: &BTreeMap<String, String>) {
        self.world.hand_over(secrets);
    }

    /// Whether a step was started that processes or systemd notice.
    pub(super) fn is_seen(&self) -> bool {
        self.executor.seen
    }

    /// Stops all processes of Synapse on this host, with their sockets.
    pub(super) fn stop_synapse(&mut self) -> Result<()> {
        let observed = self.world.observe(self.goal.desired)?;
        let running = observed.units.iter();
        let running = running.filter(|(unit, state)| state.runs() && is_of_synapse(unit));
        let running: Vec<String> = running.map(|(unit, _)| unit.clone()).collect();
        if running.is_empty() {
            return Ok(());
        }
        let step = Step::Jobs {
            verb: Verb::Stop,
            units: running,
            reasons: vec!["the connection to the first host is lost".to_owned()],
            rolling: None,
        };
        self.world.apply(&step, self.goal).map(drop)
    }

    /// Whether there is anything to verify.
    pub fn is_verifiable(&self) -> bool {
        !self.goal.expected.units.is_empty()
    }

    /// Verifies the server.
    ///
    /// # Errors
    /// With all differences from the expected state.
    pub fn verify(&mut self) -> Result<()> {
        self.world.verify(&self.goal.expected)
    }

    /// Records the generation. Only a verified generation is a target of a rollback.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn applied(&mut self) -> Result<()> {
        self.world.applied(self.plan.generation)
    }

    /// Begins the rollback: restores what has no steps, and plans the rest.
    pub(super) fn begin_rollback(&mut self, errors: &mut Errors) {
        self.world.begin_rollback();
        for file in &self.executor.replaced {
            errors.record(self.world.restore(file, self.executor.seen));
        }
        if let Some(settings) = &self.goal.settings {
            errors.record(self.world.restore_settings(settings));
        }
        self.back = errors.record(self.plan_rollback());
    }

    /// The previous state, with the plan that leads to it.
    fn plan_rollback(&mut self) -> Result<Back<W::Backup>> {
        let (mut before, target) = match self.found.before() {
            Some(number) => (self.world.generation(number)?, Target::Generation(number)),
            None => (State::default(), Target::Nothing),
        };
        if self.found.left_out {
            before.units.retain(|unit| !is_of_synapse(unit));
        }
        let mut observed = self.world.observe(&before)?;
        // All resources that this run created are removed; earlier ones stay.
        let created_now = self.executor.created_now.clone();
        observed.resources.extend(created_now.iter().cloned());
        observed.created = created_now;
        let plan = Plan::back(&before, &observed, target, self.executor.seen);
        let mut executor = Executor::new(&observed);
        executor.created.clone_from(&self.executor.created);
        Ok(Back {
            before,
            target,
            observed,
            plan,
            executor,
            failed: Vec::new(),
        })
    }

    /// The plan of the rollback; empty before it begins, or if it could not be planned.
    pub fn way_back(&self) -> Plan {
        let back = self.back.as_ref();
        back.map(|back| back.plan.clone()).unwrap_or_default()
    }

    /// Whether a step of the rollback is to be applied, after what has failed on any host.
    pub fn is_due(&self, step: usize, failed: Failed) -> bool {
        let Some(back) = &self.back else {
            return false;
        };
        let Some(step) = back.plan.steps.get(step) else {
            return false;
        };
        let mut earlier = back.failed.iter().map(|at| &back.plan.steps[*at]);
        let is_harmful = earlier.any(|earlier| is_harmful_after(step, earlier))
            || failed.stop && starts_synapse(step);
        !(is_harmful || failed.any && step.removes())
    }

    /// Whether a process of Synapse on this host may still run because the rollback could not stop it.
    pub(super) fn leaves_running(&self) -> bool {
        self.back.as_ref().is_some_and(|back| {
            let mut failed = back.failed.iter().map(|at| &back.plan.steps[*at]);
            failed.any(leaves_running)
        })
    }

    /// Applies a step of the rollback.
    ///
    /// # Errors
    /// When the step fails. The steps after it are applied nevertheless, except those that are no longer due.
    pub fn undo(&mut self, step: usize) -> Result<Option<String>> {
        let back = self.back.as_mut().context("no rollback has begun")?;
        let goal = Goal {
            desired: &back.before,
            target: back.target,
            removal: Removal::Undo,
            moving: None,
            settings: None,
            settings_text: String::new(),
            summary: String::new(),
            expected: Expected::default(),
        };
        let due = back.plan.steps.get(step).context("there is no such step")?;
        let result = back.executor.step(self.world, &goal, due);
        if result.is_err() {
            back.failed.push(step);
        }
        result
    }

    /// Records the end of the rollback.
    pub(super) fn end_rollback(&mut self, errors: &mut Errors) {
        let Some(back) = &self.back else {
            return;
        };
        if self.goal.moving.is_some() {
            errors.record(self.world.discard_migration());
        }
        if errors.is_empty() {
            errors.record(self.world.applied(back.plan.generation));
            if self.goal.target == Target::Rendered && self.found.next < back.observed.next {
                errors.record(self.world.forget_generation(self.found.next));
            }
        }
    }
}

/// Whether a unit is a process of Synapse, or its sockets.
fn is_of_synapse(unit: &str) -> bool {
    let service = units::served_by(unit);
    units::is_synapse(service.as_deref().unwrap_or(unit))
}
