//! Turns differences into steps, one part of the plan after another. [`Restarts`] decides which units changed files
//! stop, start and reload.

use super::restarts::Restarts;
use super::step::{ChangeKind, FileChange, Judge, Step, Verb};
use super::{Plan, Removal, Target};
use crate::state::paths::{OPT, TMPFILES};
use crate::state::restart_rules::{VERSION, host_path};
use crate::state::synapse_config::is_own;
use crate::state::units;
use crate::state::{Files, HOST, Observed, Resource, State};
use std::collections::BTreeSet;

/// Path prefix of unit files in a generation.
const UNIT_FILES: &str = "host/etc/systemd/";

/// Two states and their differences, from which the steps follow.
pub(super) struct Planner<'a> {
    pub desired: &'a State,
    pub observed: &'a Observed,
    pub target: Target,
    pub removal: Removal,
    pub changes: Vec<FileChange>,
}

impl Planner<'_> {
    /// All steps, in order.
    pub fn plan(&self) -> Plan {
        let mut steps = self.create();
        let generation = self.generation();
        steps.extend(self.switch(generation));
        if generation.is_some() {
            steps.extend(self.unwanted().filter(is_option).map(Step::Remove));
        }
        let (before, after) = self.host_files();
        // An interrupted run may have written or removed unit files without a reload of systemd.
        let (gone, new): (Vec<_>, Vec<_>) = self
            .changes
            .iter()
            .filter(|change| change.path.starts_with(UNIT_FILES))
            .partition(|change| {
                change.kind == ChangeKind::Removed && !self.is_lifted(&change.path)
            });
        let enable = self.enable();
        // … or may have enabled units before it was interrupted.
        let stale = self.observed.units.values().any(|unit| unit.stale);
        let reload = stale || !before.is_empty() || !new.is_empty() || enable.is_some();
        steps.extend(before);
        steps.extend(enable);
        if reload {
            steps.push(Step::ReloadManager);
        }
        let units = self.units();
        let disabled = units.iter().any(|step| matches!(step, Step::Disable(_)));
        let reload = !after.is_empty() || !gone.is_empty() || disabled;
        steps.extend(units);
        steps.extend(after);
        if reload {
            steps.push(Step::ReloadManager);
        }
        steps.extend(self.remove(generation));
        Plan { steps, generation }
    }

    fn missing(&self) -> impl Iterator<Item = &Resource> + Clone {
        self.desired.resources.difference(&self.observed.resources)
    }

    fn create(&self) -> Vec<Step> {
        let missing = self.missing().filter(|resource| !resource.is_late());
        let mut steps: Vec<Step> = Vec::new();
        let owned =
            |resource: &Resource| resource.is_owner() || matches!(resource, Resource::Directory(_));
        let asked =
            self.changes.iter().any(|change| change.path == TMPFILES) || missing.clone().any(owned);
        let mut directories = asked && self.desired.files.contains_key(TMPFILES);
        for resource in missing {
            // tmpfiles.d creates all directories in one step, after the accounts that own them.
            if !resource.is_owner() && directories {
                steps.push(Step::Directories);
                directories = false;
            }
            steps.push(Step::Create(resource.clone()));
        }
        if directories {
            steps.push(Step::Directories);
        }
        steps
    }

    /// The generation that the plan leads to; `None` for the empty state.
    fn generation(&self) -> Option<u32> {
        match self.target {
            Target::Generation(number) => Some(number),
            Target::Nothing => None,
            Target::Rendered if self.changes.is_empty() => self.observed.current,
            Target::Rendered => Some(self.observed.next),
        }
    }

    fn switch(&self, generation: Option<u32>) -> Vec<Step> {
        let mut steps = Vec::new();
        let Some(number) = generation else {
            return steps;
        };
        if self.target == Target::Rendered && !self.changes.is_empty() {
            steps.push(Step::WriteGeneration {
                number,
                changes: self.changes.clone(),
            });
        }
        steps.extend(
            self.judges()
                .into_iter()
                .map(|judge| Step::Judge { number, judge }),
        );
        if self.observed.current != Some(number) {
            steps.push(Step::Switch { number });
        }
        steps
    }

    /// The validators of the files that changed.
    fn judges(&self) -> Vec<Judge> {
        let mut judges = Vec::new();
        if self.other_synapse() {
            judges.push(Judge::Schema);
        }
        // An existing generation was validated when it was written.
        if self.target != Target::Rendered {
            return judges;
        }
        let mut new = self
            .changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Removed);
        if new.clone().any(|change| change.path.starts_with("nginx/")) {
            judges.push(Judge::Nginx);
        }
        // A file that only one process reads is validated for that process, any other file for all.
        let synapse: Vec<&str> = self
            .changes
            .iter()
            .filter_map(|change| change.path.strip_prefix("synapse/"))
            .collect();
        let composed = |change: &FileChange| change.path.starts_with("secrets/synapse.d/");
        let shared = synapse.iter().any(|path| !is_own(path)) || self.changes.iter().any(composed);
        let processes: Vec<String> = self
            .desired
            .files
            .keys()
            .filter_map(|path| path.strip_prefix("synapse/"))
            .filter(|path| is_own(path) && (shared || synapse.contains(path)))
            .map(str::to_owned)
            .collect();
        if !processes.is_empty() {
            judges.push(Judge::Synapse(processes));
        }
        if new
            .clone()
            .any(|change| change.path.starts_with("prometheus/"))
        {
            judges.push(Judge::Prometheus);
        }
        if new.any(|change| change.path.starts_with(UNIT_FILES)) {
            judges.push(Judge::Systemd);
        }
        judges
    }

    /// Whether the plan starts a release of Synapse that has not used this database. The rollback of a failed run
    /// never does.
    fn other_synapse(&self) -> bool {
        let empty = |resource: &Resource| matches!(resource, Resource::Database { .. });
        self.removal != Removal::Undo
            && self.changes.iter().any(|change| change.path == VERSION)
            && !self.missing().any(empty)
    }

    /// Whether a path is that of a removed drop-in whose unit stays. The drop-in has an effect as long as it exists, so
    /// it is removed before the unit starts again.
    fn is_lifted(&self, path: &str) -> bool {
        let unit = units::drop_in_of(path);
        unit.is_some_and(|unit| self.desired.units.contains(unit))
    }

    /// Changes of files on the host: those before jobs of units, and those after.
    fn host_files(&self) -> (Vec<Step>, Vec<Step>) {
        let wanted = self
            .desired
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(HOST));
        // No generation that may be in use has these contents, so another program or the administrator changed the
        // file.
        let edited = |path: &String| {
            self.observed.host_files.get(path).is_some_and(|found| {
                let ours = |files: &Files| files.get(path).is_some_and(|old| old.digest == *found);
                !self.observed.baselines.iter().any(ours)
            })
        };
        let mut before: Vec<Step> = wanted
            .filter(|(path, file)| self.observed.host_files.get(*path) != Some(&file.digest))
            .filter_map(|(path, _)| {
                Some(Step::WriteFile {
                    path: host_path(path)?.to_owned(),
                    edited: edited(path),
                })
            })
            .collect();
        let unwanted = self.observed.host_files.keys();
        let unwanted = unwanted.filter(|path| !self.desired.files.contains_key(*path));
        let (lifted, after): (Vec<&String>, Vec<&String>) =
            unwanted.partition(|path| self.is_lifted(path));
        let remove = |paths: Vec<&String>| -> Vec<Step> {
            let places = paths.into_iter().filter_map(|path| host_path(path));
            places
                .map(|path| Step::RemoveFile { path: path.into() })
                .collect()
        };
        before.extend(remove(lifted));
        (before, remove(after))
    }

    /// systemd notices new links, as it notices new unit files, when it reloads.
    fn enable(&self) -> Option<Step> {
        let enabled = |unit: &&String| {
            self.observed
                .units
                .get(*unit)
                .is_some_and(|unit| unit.enabled)
        };
        let wanted = self
            .desired
            .units
            .iter()
            .filter(|unit| !units::is_needed(unit));
        let enable = collect(wanted.filter(|unit| !enabled(unit)));
        (!enable.is_empty()).then_some(Step::Enable(enable))
    }

    /// Jobs in stages, then disabling.
    fn units(&self) -> Vec<Step> {
        let restarts = Restarts::new(self.desired, self.observed, &self.changes);
        let known = |unit: &&String| self.observed.units.get(*unit).copied().unwrap_or_default();
        let wanted = &self.desired.units;
        let unwanted: Vec<&String> = self
            .observed
            .units
            .keys()
            .filter(|unit| !wanted.contains(*unit))
            .collect();
        let disable = collect(unwanted.iter().copied().filter(|unit| known(unit).enabled));
        let failed = collect(unwanted.iter().copied().filter(|unit| known(unit).failed));

        let mut steps = Vec::new();
        // Units that must not run beside their successors stop first. Other obsolete units stop after nginx has stopped
        // sending requests to them. Sockets start with the services that need them.
        let running = |unit: &&String| known(unit).active || known(unit).changing;
        let last = unwanted.into_iter().filter(running);
        let last: Vec<&String> = match self.target {
            Target::Nothing => last.collect(),
            Target::Rendered | Target::Generation(_) => {
                steps.extend(restarts.stop_first());
                last.filter(|unit| !restarts.stops(unit)).collect()
            }
        };
        steps.extend(restarts.stage(|unit| unit == units::REDIS));
        // The services that an adoption replaces stop as late as possible.
        let late = self.missing().filter(|resource| resource.is_late());
        steps.extend(late.cloned().map(Step::Create));
        steps.extend(restarts.stage(|unit| unit == units::MAIN));
        steps.extend(restarts.stage(|unit| units::worker_of(unit).is_some()));
        steps.extend(restarts.stage(|unit| unit == units::NGINX));
        // Auxiliary services, which no request waits for: metrics, TURN, timers.
        steps.extend(restarts.stage(is_beside));
        steps.extend(restarts.stage(|unit| unit == units::TARGET));
        let served = last.iter().copied().filter(|unit| units::is_synapse(unit));
        let served = collect(served);
        if !served.is_empty() && self.target != Target::Nothing && !restarts.stops(units::NGINX) {
            steps.push(Step::Drain(served));
        }
        if !last.is_empty() {
            steps.push(Step::Jobs {
                verb: Verb::Stop,
                units: collect(last.into_iter()),
                reasons: vec!["no longer wanted".into()],
                rolling: None,
            });
        }
        if !disable.is_empty() {
            steps.push(Step::Disable(disable));
        }
        if !failed.is_empty() {
            steps.push(Step::ResetFailed(failed));
        }
        let stale: BTreeSet<String> = self
            .observed
            .sockets
            .iter()
            .filter(|name| *name != "main" && !wanted.contains(&units::worker(name)))
            // systemd removes the socket files of active socket units.
            .filter(|name| {
                units::socket_of(&units::worker(name)).is_none_or(|unit| !known(&&unit).active)
            })
            .cloned()
            .collect();
        if !stale.is_empty() && self.target != Target::Nothing {
            steps.push(Step::RemoveSockets(stale));
        }
        steps
    }

    /// Existing resources of this program that are no longer desired, in the order of creation.
    fn unwanted(&self) -> impl Iterator<Item = Resource> {
        let ours: BTreeSet<Resource> = match self.removal {
            Removal::Undo => self.observed.created.clone(),
            Removal::Keep | Removal::Purge => self
                .observed
                .created
                .iter()
                .cloned()
                .chain(Resource::ours_by_name())
                .collect(),
        };
        let goes = |resource: &&Resource| {
            let stays = |wanted: &Resource| wanted == *resource || wanted.replaces(resource);
            !self.desired.resources.iter().any(stays)
                && (self.removal != Removal::Keep || !resource.is_retained())
                && !self.stays_for_return(resource)
        };
        let there = ours.intersection(&self.observed.resources).filter(goes);
        there.cloned().collect::<Vec<Resource>>().into_iter()
    }

    /// Whether a resource stays because a rollback to the generation that this plan leaves needs it: the venv of
    /// Synapse, and the directory that contains it. The next change of generation removes them.
    fn stays_for_return(&self, resource: &Resource) -> bool {
        let leaves = self.generation() != self.observed.current;
        let venv = |other: &Resource| {
            matches!(other, Resource::Venv(_)) && (!leaves || self.observed.in_use.contains(other))
        };
        let stays = match resource {
            Resource::Directory(path) if path == OPT => self.observed.resources.iter().any(venv),
            resource => venv(resource),
        };
        stays && self.removal == Removal::Keep && self.target != Target::Nothing
    }

    /// Removal of resources, in reverse order of creation.
    fn remove(&self, generation: Option<u32>) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        if self.target == Target::Nothing && self.observed.current.is_some() {
            steps.push(Step::Forget);
        }
        let late = |resource: &Resource| generation.is_none() || !is_option(resource);
        let mut removed: Vec<Step> = self.unwanted().filter(late).map(Step::Remove).collect();
        // Accounts are removed after the directories that contain their files. The settings are removed last, because a
        // run that is interrupted needs them when it is repeated.
        removed.reverse();
        removed.sort_by_key(|step| {
            matches!(step, Step::Remove(Resource::Directory(path)) if path.starts_with(crate::state::paths::ETC))
        });
        steps.extend(removed);
        steps
    }
}

/// Whether a resource is a composed file with Synapse options. Synapse reads all files of that directory, so an
/// obsolete one is removed before processes start.
fn is_option(resource: &Resource) -> bool {
    matches!(resource, Resource::Composed(name) if name.starts_with("synapse.d/"))
}

/// Whether a unit is an auxiliary service: neither part of Synapse nor needed to serve its requests.
fn is_beside(unit: &str) -> bool {
    let first = [units::REDIS, units::MAIN, units::NGINX, units::TARGET];
    !first.contains(&unit) && units::worker_of(unit).is_none() && units::served_by(unit).is_none()
}

fn collect<'a>(units: impl Iterator<Item = &'a String>) -> Vec<String> {
    units.cloned().collect()
}
