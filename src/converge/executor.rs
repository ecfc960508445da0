//! A plan in progress: its steps one after another, and the record of what they made.

use super::Goal;
use super::errors::Errors;
use super::world::World;
use crate::plan::Plan;
use crate::plan::step::{Step, Verb};
use crate::report::Report;
use crate::state::{Observed, Resource};
use anyhow::Result;
use std::collections::BTreeSet;

/// A plan in progress.
pub(super) struct Executor<'a, W: World> {
    pub world: &'a mut W,
    goal: &'a Goal<'a>,
    pub made: BTreeSet<Resource>,
    /// Made by this run.
    pub made_now: BTreeSet<Resource>,
    /// Secrets, and files composed with them, that took the place of others.
    pub replaced: Vec<W::Kept>,
    /// Whether anything was begun that processes or systemd see.
    pub seen: bool,
}

impl<'a, W: World> Executor<'a, W> {
    pub fn new(world: &'a mut W, goal: &'a Goal<'a>, observed: &Observed) -> Self {
        Self {
            world,
            goal,
            made: observed.made.clone(),
            made_now: BTreeSet::new(),
            replaced: Vec::new(),
            seen: false,
        }
    }

    /// Does the steps in order, until one fails or the run is to end.
    pub fn apply(&mut self, plan: &Plan, report: &Report) -> Result<()> {
        for (number, step) in plan.steps.iter().enumerate() {
            self.world.between(number, &step.to_string())?;
            self.one(step, report)?;
        }
        self.world.between(plan.steps.len(), "verify")
    }

    /// Does all steps of a rollback but those that need one that failed: one process that does not start is no reason to leave
    /// nginx stopped. After an error nothing is removed any more, since a process may still use it.
    pub fn apply_all(&mut self, plan: &Plan, report: &Report, errors: &mut Errors) {
        let mut failed: Vec<&Step> = Vec::new();
        for step in &plan.steps {
            let needs = |failed: &&Step| needs(step, failed);
            if failed.iter().any(needs) || (step.removes() && !errors.is_empty()) {
                continue;
            }
            if errors.note(self.one(step, report)).is_none() {
                failed.push(step);
            }
        }
    }

    fn one(&mut self, step: &Step, report: &Report) -> Result<()> {
        if let Some(note) = report.step(step, || self.step(step))? {
            report.say(format!("          {note}"));
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Option<String>> {
        self.seen |= step.is_seen();
        match step {
            Step::Create(resource) => self.create(resource, step),
            Step::Remove(resource) => {
                let note = self.world.apply(step, self.goal)?;
                self.made.remove(resource);
                self.world.record(&self.made)?;
                Ok(note)
            }
            _ => self.world.apply(step, self.goal),
        }
    }

    /// Recorded first: half of it may be there when making it fails.
    fn create(&mut self, resource: &Resource, step: &Step) -> Result<Option<String>> {
        self.made.retain(|before| !resource.replaces(before));
        self.made.insert(resource.clone());
        match self.world.keep(resource)? {
            Some(before) => self.replaced.push(before),
            None => drop(self.made_now.insert(resource.clone())),
        }
        self.world.record(&self.made)?;
        let note = self.world.apply(step, self.goal)?;
        // The directory of the record may have been made just now.
        self.world.record(&self.made)?;
        Ok(note)
    }
}

/// Whether a step would do harm without an earlier one.
fn needs(step: &Step, earlier: &Step) -> bool {
    let (starts, disturbs) = match step {
        Step::Jobs { verb, .. } => {
            let starts = step.is_of_synapse() && *verb != Verb::Stop;
            (starts, starts || *verb != Verb::Start)
        }
        // To take that away is to start the service of an adopted server, which is Synapse on the same data.
        Step::Remove(Resource::Stopped(_)) => (true, false),
        _ => (false, false),
    };
    match earlier {
        // A process that runs is right as it is; one that started now would read the files of the other generation.
        Step::Switch { .. } => disturbs,
        // One that runs on goes by lists of stream writers that no other may contradict.
        Step::Jobs {
            verb: Verb::Stop | Verb::Restart,
            ..
        } => starts && earlier.is_of_synapse(),
        _ => false,
    }
}
