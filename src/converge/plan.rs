//! The plan: the difference of two states as an ordered list of steps. Pure; nothing here touches the host.
//!
//! Order: what must exist → the new generation and its judges → the switch and the files on the host → what must not
//! run at once stops → Redis → main until it is ready → workers → nginx → what is no longer wanted stops and goes.

use super::names;
use super::restarts::Restarts;
use super::rules::{Change, host_path};
use super::state::{Files, HOST, Observed, Resource, State};
use super::step::{ChangeKind, FileChange, Judge, Step, Verb};
use crate::render::TMPFILES;
use std::collections::BTreeSet;

/// Unit files, by their path in a generation.
const UNIT_FILES: &str = "host/etc/systemd/";

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

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// Files on the host that stand where ours would, and that no generation of ours put there.
pub fn foreign<'a>(desired: &'a State, observed: &Observed) -> Vec<&'a str> {
    let ours = |path: &String| {
        observed
            .baselines
            .iter()
            .any(|files| files.contains_key(path))
    };
    desired
        .files
        .iter()
        .filter(|(path, file)| {
            let found = observed.host_files.get(*path);
            found.is_some_and(|digest| *digest != file.digest) && !ours(path)
        })
        .filter_map(|(path, _)| host_path(path))
        .collect()
}

/// Files that differ from any baseline: after an interrupted run some processes may run with either.
fn changes(desired: &State, observed: &Observed) -> Vec<FileChange> {
    let mut paths: BTreeSet<&String> = desired.files.keys().collect();
    paths.extend(observed.baselines.iter().flat_map(|files| files.keys()));
    let empty = [Default::default()];
    let baselines = match &observed.baselines[..] {
        [] => &empty[..],
        baselines => baselines,
    };
    let kind = |path: &String| {
        let wanted = desired.files.get(path).map(|file| &file.digest);
        let differing = baselines
            .iter()
            .map(|files| files.get(path).map(|file| &file.digest))
            .find(|found| *found != wanted)?;
        Some(match (differing, wanted) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        })
    };
    paths
        .into_iter()
        .filter_map(|path| {
            Some(FileChange {
                path: path.clone(),
                kind: kind(path)?,
            })
        })
        .collect()
}

struct Planner<'a> {
    desired: &'a State,
    observed: &'a Observed,
    target: Target,
    removal: Removal,
    changes: Vec<FileChange>,
}

impl Planner<'_> {
    fn plan(&self) -> Plan {
        let mut steps = self.create();
        let generation = self.generation();
        steps.extend(self.switch(generation));
        let (written, removed) = self.host_files();
        // A run that was cut may have written or removed unit files without telling systemd.
        let (gone, new): (Vec<_>, Vec<_>) = self
            .changes
            .iter()
            .filter(|change| change.path.starts_with(UNIT_FILES))
            .partition(|change| change.kind == ChangeKind::Removed);
        let reload = !written.is_empty() || !new.is_empty();
        steps.extend(written);
        if reload {
            steps.push(Step::ReloadManager);
        }
        steps.extend(self.units());
        let reload = !removed.is_empty() || !gone.is_empty();
        steps.extend(removed);
        if reload {
            steps.push(Step::ReloadManager);
        }
        steps.extend(self.remove());
        Plan { steps, generation }
    }

    fn create(&self) -> Vec<Step> {
        let missing = self.desired.resources.difference(&self.observed.resources);
        let mut steps: Vec<Step> = Vec::new();
        let owned =
            |resource: &Resource| matches!(resource, Resource::Account(_) | Resource::Directory(_));
        let asked =
            self.changes.iter().any(|change| change.path == TMPFILES) || missing.clone().any(owned);
        let mut directories = asked && self.desired.files.contains_key(TMPFILES);
        for resource in missing {
            // Directories are made together, by tmpfiles.d, once the accounts that own them exist.
            if !matches!(resource, Resource::Account(_)) && directories {
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

    /// The generation that the plan leads to, `None` for the empty state.
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
            steps.extend(
                self.judges()
                    .into_iter()
                    .map(|judge| Step::Judge { number, judge }),
            );
        }
        if self.observed.current != Some(number) {
            steps.push(Step::Switch { number });
        }
        steps
    }

    /// The programs that have to read something new.
    fn judges(&self) -> Vec<Judge> {
        let mut judges = Vec::new();
        let mut new = self
            .changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Removed);
        if new.clone().any(|change| change.path.starts_with("nginx/")) {
            judges.push(Judge::Nginx);
        }
        // What one process alone reads is judged for that one, anything else for all.
        let own = |path: &str| path == "main.yaml" || path.starts_with("workers/");
        let synapse: Vec<&str> = self
            .changes
            .iter()
            .filter_map(|change| change.path.strip_prefix("synapse/"))
            .collect();
        let shared = synapse.iter().any(|path| !own(path));
        let processes: Vec<String> = self
            .desired
            .files
            .keys()
            .filter_map(|path| path.strip_prefix("synapse/"))
            .filter(|path| own(path) && (shared || synapse.contains(path)))
            .map(str::to_owned)
            .collect();
        if !processes.is_empty() {
            judges.push(Judge::Synapse(processes));
        }
        if new.any(|change| change.path.starts_with(UNIT_FILES)) {
            judges.push(Judge::Systemd);
        }
        judges
    }

    /// Files on the host to be written, and to be removed.
    fn host_files(&self) -> (Vec<Step>, Vec<Step>) {
        let wanted = self
            .desired
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(HOST));
        // No generation that may be in use has it like this, so it was somebody else.
        let edited = |path: &String| {
            self.observed.host_files.get(path).is_some_and(|found| {
                let ours = |files: &Files| files.get(path).is_some_and(|old| old.digest == *found);
                !self.observed.baselines.iter().any(ours)
            })
        };
        let written = wanted
            .filter(|(path, file)| self.observed.host_files.get(*path) != Some(&file.digest))
            .filter_map(|(path, _)| {
                Some(Step::WriteFile {
                    path: host_path(path)?.to_owned(),
                    edited: edited(path),
                })
            })
            .collect();
        let removed = self
            .observed
            .host_files
            .keys()
            .filter(|path| !self.desired.files.contains_key(*path))
            .filter_map(|path| host_path(path))
            .map(|path| Step::RemoveFile { path: path.into() })
            .collect();
        (written, removed)
    }

    /// Enabling, and jobs in stages.
    fn units(&self) -> Vec<Step> {
        let restarts = Restarts::new(self.desired, self.observed, &self.changes);
        let known = |unit: &&String| self.observed.units.get(*unit).copied().unwrap_or_default();
        let wanted = &self.desired.units;
        let enable = collect(wanted.iter().filter(|unit| !known(unit).enabled));
        let unwanted: Vec<&String> = self
            .observed
            .units
            .keys()
            .filter(|unit| !wanted.contains(*unit))
            .collect();
        let disable = collect(unwanted.iter().copied().filter(|unit| known(unit).enabled));
        let failed = collect(unwanted.iter().copied().filter(|unit| known(unit).failed));

        let mut steps = Vec::new();
        if !enable.is_empty() {
            steps.push(Step::Enable(enable));
        }
        // What must not run beside its successors stops first; other removals wait until nginx sends nothing there.
        let (first, last): (Vec<&String>, Vec<&String>) = unwanted
            .into_iter()
            .filter(|unit| known(unit).active || known(unit).changing)
            .partition(|unit| {
                self.target != Target::Nothing && restarts.change(unit) == Change::StopFirst
            });
        steps.extend(restarts.stop_first(first));
        steps.extend(restarts.stage(|unit| unit == names::REDIS));
        steps.extend(restarts.stage(|unit| unit == names::MAIN));
        steps.extend(restarts.stage(|unit| names::worker_of(unit).is_some()));
        steps.extend(restarts.stage(|unit| unit == names::NGINX));
        steps.extend(restarts.stage(|unit| unit == names::TARGET));
        if !last.is_empty() {
            steps.push(Step::Jobs {
                verb: Verb::Stop,
                units: collect(last.into_iter()),
                reasons: vec!["no longer wanted".into()],
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
            .filter(|name| *name != "main" && !wanted.contains(&names::worker(name)))
            .cloned()
            .collect();
        if !stale.is_empty() && self.target != Target::Nothing {
            steps.push(Step::RemoveSockets(stale));
        }
        steps
    }

    /// Resources that go, the last made first.
    fn remove(&self) -> Vec<Step> {
        let ours: BTreeSet<Resource> = match self.removal {
            Removal::Undo => self.observed.made.clone(),
            Removal::Keep | Removal::Purge => self
                .observed
                .made
                .iter()
                .cloned()
                .chain(Resource::ours_by_name())
                .collect(),
        };
        let goes = |resource: &&Resource| {
            let stays = |wanted: &Resource| wanted == *resource || wanted.replaces(resource);
            !self.desired.resources.iter().any(stays)
                && (self.removal != Removal::Keep || !resource.kept())
        };
        let mut steps: Vec<Step> = Vec::new();
        if self.target == Target::Nothing && self.observed.current.is_some() {
            steps.push(Step::Forget);
        }
        let mut removed: Vec<Step> = ours
            .intersection(&self.observed.resources)
            .filter(goes)
            .map(|resource| Step::Remove(resource.clone()))
            .collect();
        // In reverse order of making: accounts after the directories with what they own. The settings go last of all,
        // since a run that is cut needs them to be run again.
        removed.reverse();
        removed.sort_by_key(|step| {
            matches!(step, Step::Remove(Resource::Directory(path)) if path.starts_with(crate::paths::ETC))
        });
        steps.extend(removed);
        steps
    }
}

fn collect<'a>(units: impl Iterator<Item = &'a String>) -> Vec<String> {
    units.cloned().collect()
}
