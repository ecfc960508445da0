//! Executes a plan: applies its steps in order, and records the resources that they create.

use super::Goal;
use super::errors::Errors;
use super::world::World;
use crate::plan::Plan;
use crate::plan::step::{Step, Verb};
use crate::report::Report;
use crate::state::{Observed, Resource};
use anyhow::Result;
use std::collections::BTreeSet;

/// The line of a run for what follows the last step.
pub(super) const VERIFICATION: &str = "  verify  units, health, routes";

/// A plan during its execution.
pub(super) struct Executor<'a, W: World> {
    pub world: &'a mut W,
    goal: &'a Goal<'a>,
    /// All resources that this program has created.
    pub created: BTreeSet<Resource>,
    /// Resources that this run created.
    pub created_now: BTreeSet<Resource>,
    /// The old contents of secrets, and of files composed with them, that this run replaced.
    pub replaced: Vec<W::Backup>,
    /// Whether a step was started that processes or systemd notice.
    pub seen: bool,
}

impl<'a, W: World> Executor<'a, W> {
    pub fn new(world: &'a mut W, goal: &'a Goal<'a>, observed: &Observed) -> Self {
        Self {
            world,
            goal,
            created: observed.created.clone(),
            created_now: BTreeSet::new(),
            replaced: Vec::new(),
            seen: false,
        }
    }

    /// Applies the steps in order, until one fails or a signal ends the run.
    pub fn apply(&mut self, plan: &Plan, report: &Report) -> Result<()> {
        for (number, step) in plan.steps.iter().enumerate() {
            self.world.between(number, &step.to_string())?;
            self.run(step, report)?;
        }
        self.world.between(plan.steps.len(), VERIFICATION)
    }

    /// Applies all steps of a rollback except those that do harm after a failed one: a process that does not start is no reason
    /// to leave nginx stopped. After an error nothing is removed any more, because a process may still use it.
    pub fn apply_all(&mut self, plan: &Plan, report: &Report, errors: &mut Errors) {
        let mut failed: Vec<&Step> = Vec::new();
        for step in &plan.steps {
            let is_harmful = |failed: &&Step| is_harmful_after(step, failed);
            if failed.iter().any(is_harmful) || (step.removes() && !errors.is_empty()) {
                continue;
            }
            if errors.record(self.run(step, report)).is_none() {
                failed.push(step);
            }
        }
    }

    fn run(&mut self, step: &Step, report: &Report) -> Result<()> {
        if let Some(note) = report.step(step, || self.step(step))? {
            report.say(format!("          {note}"));
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Option<String>> {
        self.seen |= step.is_seen();
        match step {
            Step::Create(resource) => self.create(resource, step),
            Step::Rebuild { resource, .. } => {
                self.created.insert(resource.clone());
                self.world.record(&self.created)?;
                self.world.apply(step, self.goal)
            }
            Step::Remove(resource) => {
                let note = self.world.apply(step, self.goal)?;
                self.created.remove(resource);
                self.world.record(&self.created)?;
                Ok(note)
            }
            _ => self.world.apply(step, self.goal),
        }
    }

    /// Creates a resource. It is recorded first, because a creation that fails may leave a part of it.
    fn create(&mut self, resource: &Resource, step: &Step) -> Result<Option<String>> {
        self.created.retain(|before| !resource.replaces(before));
        self.created.insert(resource.clone());
        match self.world.back_up(resource)? {
            Some(backup) => self.replaced.push(backup),
            None => drop(self.created_now.insert(resource.clone())),
        }
        self.world.record(&self.created)?;
        let note = self.world.apply(step, self.goal)?;
        // Creating this resource may have created the directory that contains the record.
        self.world.record(&self.created)?;
        Ok(note)
    }
}

/// Whether a step would do harm after the failure of an earlier one.
fn is_harmful_after(step: &Step, earlier: &Step) -> bool {
    let (starts, disturbs) = match step {
        Step::Jobs { verb, .. } => {
            let starts = step.is_of_synapse() && *verb != Verb::Stop;
            (starts, starts || *verb != Verb::Start)
        }
        // Removing this resource starts the service of an adopted server, which is a Synapse on the same data.
        Step::Remove(resource @ Resource::Stopped(_)) => (resource.is_adopted_service(), false),
        _ => (false, false),
    };
    match earlier {
        // A running process is correct as it is; a process that starts now would read the files of the other
        // generation.
        Step::Switch { .. } => disturbs,
        // A process that keeps running uses lists of stream writers that no other process may contradict.
        Step::Jobs {
            verb: Verb::Stop | Verb::Restart,
            ..
        } => starts && earlier.is_of_synapse(),
        _ => false,
    }
}
