//! The part of the plan that creates and removes resources.

use super::planner::Planner;
use super::step::Step;
use super::{Removal, Target};
use crate::state::Resource;
use crate::state::paths::{ETC, OPT, TMPFILES};
use std::collections::BTreeSet;

impl Planner<'_> {
    pub(super) fn missing(&self) -> impl Iterator<Item = &Resource> + Clone {
        self.desired.resources.difference(&self.observed.resources)
    }

    pub(super) fn create(&self) -> Vec<Step> {
        let missing = self.missing().filter(|resource| !resource.is_late());
        let mut steps: Vec<Step> = Vec::new();
        let created_by_tmpfiles =
            |resource: &Resource| resource.is_owner() || matches!(resource, Resource::Directory(_));
        let needed = self.changes.iter().any(|change| change.path == TMPFILES)
            || missing.clone().any(created_by_tmpfiles);
        let mut directories = needed && self.desired.files.contains_key(TMPFILES);
        for resource in missing {
            // tmpfiles.d creates all directories in one step, after the accounts that own them.
            if !resource.is_owner() && directories {
                steps.push(Step::Directories);
                directories = false;
            }
            steps.push(match self.observed.damaged.get(resource) {
                Some(reason) => Step::Rebuild {
                    resource: resource.clone(),
                    reason: reason.clone(),
                },
                None => Step::Create(resource.clone()),
            });
        }
        if directories {
            steps.push(Step::Directories);
        }
        steps
    }

    /// Existing resources of this program that are no longer desired, in the order of creation.
    fn obsolete(&self) -> impl Iterator<Item = Resource> {
        let created: BTreeSet<Resource> = match self.removal {
            Removal::Undo => self.observed.created.clone(),
            Removal::Keep | Removal::Purge => self
                .observed
                .created
                .iter()
                .cloned()
                .chain(Resource::ours_by_name())
                .collect(),
        };
        let is_obsolete = |resource: &&Resource| {
            let covers = |desired: &Resource| desired == *resource || desired.replaces(resource);
            !self.desired.resources.iter().any(covers)
                && (self.removal != Removal::Keep || !resource.is_retained())
                && !self.is_needed_by_rollback(resource)
        };
        let existing = created.intersection(&self.observed.resources);
        let obsolete = existing.filter(is_obsolete);
        obsolete.cloned().collect::<Vec<Resource>>().into_iter()
    }

    /// Whether a resource stays because a rollback to the generation that this plan leaves needs it: the venv of
    /// Synapse, and the directory that contains it. The next change of generation removes them.
    fn is_needed_by_rollback(&self, resource: &Resource) -> bool {
        let switches = self.generation() != self.observed.current;
        let venv = |other: &Resource| {
            matches!(other, Resource::Venv(_))
                && (!switches || self.observed.in_use.contains(other))
        };
        let needed = match resource {
            Resource::Directory(path) if path == OPT => self.observed.resources.iter().any(venv),
            resource => venv(resource),
        };
        needed && self.removal == Removal::Keep && self.target != Target::Nothing
    }

    /// Removes composed files with Synapse options before processes start, because Synapse reads all files of their
    /// directory.
    pub(super) fn remove_obsolete_options(&self) -> impl Iterator<Item = Step> {
        self.obsolete().filter(is_option).map(Step::Remove)
    }

    /// Removal of resources, in reverse order of creation.
    pub(super) fn remove(&self, generation: Option<u32>) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        if self.target == Target::Nothing && self.observed.current.is_some() {
            steps.push(Step::Forget);
        }
        let late = |resource: &Resource| generation.is_none() || !is_option(resource);
        let mut removed: Vec<Step> = self.obsolete().filter(late).map(Step::Remove).collect();
        // Accounts are removed after the directories that contain their files. The settings are removed last, because a
        // run that is interrupted needs them when it is repeated.
        removed.reverse();
        removed.sort_by_key(
            |step| matches!(step, Step::Remove(Resource::Directory(path)) if path.starts_with(ETC)),
        );
        steps.extend(removed);
        steps
    }
}

/// Whether a resource is a composed file with Synapse options.
fn is_option(resource: &Resource) -> bool {
    matches!(resource, Resource::Composed(name) if name.starts_with("synapse.d/"))
}
