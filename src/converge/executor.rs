//! Executes the steps of a plan, and records the resources that they create.

use super::Goal;
use super::world::World;
use crate::plan::step::{Step, Verb};
use crate::state::{Observed, Resource};
use anyhow::Result;
use std::collections::BTreeSet;

/// The records of a plan during its execution. `B` is the old contents of a replaced file, see [`World::Backup`].
pub(super) struct Executor<B> {
    /// All resources that this program has created.
    pub created: BTreeSet<Resource>,
    /// Resources that this run created.
    pub created_now: BTreeSet<Resource>,
    /// The old contents of secrets, and of files composed with them, that this run replaced.
    pub replaced: Vec<B>,
    /// Whether a step was started that processes or systemd notice.
    pub seen: bool,
}

impl<B> Executor<B> {
    pub fn new(observed: &Observed) -> Self {
        Self {
            created: observed.created.clone(),
            created_now: BTreeSet::new(),
            replaced: Vec::new(),
            seen: false,
        }
    }

    /// Applies a step, and returns a note about it.
    pub fn step<W: World<Backup = B>>(
        &mut self,
        world: &mut W,
        goal: &Goal,
        step: &Step,
    ) -> Result<Option<String>> {
        self.seen |= step.is_seen();
        match step {
            Step::Create(resource) => self.create(world, goal, resource, step),
            Step::Rebuild { resource, .. } => {
                self.created.insert(resource.clone());
                world.record(&self.created)?;
                world.apply(step, goal)
            }
            Step::Remove(resource) => {
                let note = world.apply(step, goal)?;
                self.created.remove(resource);
                world.record(&self.created)?;
                Ok(note)
            }
            _ => world.apply(step, goal),
        }
    }

    /// Creates a resource. It is recorded first, because a creation that fails may leave a part of it.
    fn create<W: World<Backup = B>>(
        &mut self,
        world: &mut W,
        goal: &Goal,
        resource: &Resource,
        step: &Step,
    ) -> Result<Option<String>> {
        self.created.retain(|before| !resource.replaces(before));
        self.created.insert(resource.clone());
        match world.back_up(resource)? {
            Some(backup) => self.replaced.push(backup),
            None => drop(self.created_now.insert(resource.clone())),
        }
        world.record(&self.created)?;
        let note = world.apply(step, goal)?;
        // Creating this resource may have created the directory that contains the record.
        world.record(&self.created)?;
        Ok(note)
    }
}

/// Whether a step of a rollback would do harm after the failure of an earlier one: a process that does not start is no
/// reason to leave nginx stopped.
pub(super) fn is_harmful_after(step: &Step, earlier: &Step) -> bool {
    let (starts, disturbs) = match step {
        Step::Jobs { verb, .. } => {
            let starts = starts_synapse(step);
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

/// Whether a process of Synapse reads files because of this step.
pub(super) fn starts_synapse(step: &Step) -> bool {
    step.is_of_synapse() && !matches!(step, Step::Jobs { verb, .. } if *verb == Verb::Stop)
}

/// Whether a process of Synapse may keep running because this step failed, beside which no other may start on any host.
pub(super) fn leaves_running(step: &Step) -> bool {
    step.is_of_synapse() && !starts_synapse(step)
}
