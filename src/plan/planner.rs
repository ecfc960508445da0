//! Turns differences into steps, one part of the plan after another: the order of the parts, the switch of the
//! generation, and the files on the host. The other parts have files of their own: `resources`, `validation` and
//! `unit_jobs`.

use super::step::{ChangeKind, FileChange, Step};
use super::{Plan, Removal, Target};
use crate::state::restart_rules::host_path;
use crate::state::units;
use crate::state::{Files, HOST, Observed, State, UnitState};

/// Path prefix of unit files in a generation.
pub(super) const UNIT_FILES: &str = "host/etc/systemd/";

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
            steps.extend(self.remove_obsolete_options());
        }
        let (before, after) = self.host_files();
        // An interrupted run may have written or removed unit files without a reload of systemd.
        let (removed, written): (Vec<_>, Vec<_>) = self
            .changes
            .iter()
            .filter(|change| change.path.starts_with(UNIT_FILES))
            .partition(|change| {
                change.kind == ChangeKind::Removed && !self.is_drop_in_of_desired_unit(&change.path)
            });
        let enable = self.enable();
        // … or may have enabled units before it was interrupted.
        let stale = self.observed.units.values().any(|unit| unit.stale);
        // The start of the target would start an obsolete unit that is still enabled.
        let disable = self.disable(false);
        let reload = stale
            || !(before.is_empty() && written.is_empty())
            || enable.is_some()
            || disable.is_some();
        let admit = self.reload_rules(&before);
        let admit = admit.or_else(|| self.reload_unread_rules());
        steps.extend(before);
        steps.extend(enable);
        steps.extend(disable);
        if reload {
            steps.push(Step::ReloadManager);
        }
        let jobs = self.unit_jobs(admit);
        let disabled = jobs.iter().any(|step| matches!(step, Step::Disable(_)));
        let reload = !after.is_empty() || !removed.is_empty() || disabled;
        steps.extend(jobs);
        let close = self.reload_rules(&after);
        steps.extend(after);
        if reload {
            steps.push(Step::ReloadManager);
        }
        steps.extend(close);
        steps.extend(self.remove(generation));
        Plan { steps, generation }
    }

    /// The generation that the plan leads to; `None` for the empty state.
    pub(super) fn generation(&self) -> Option<u32> {
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
        let validators = self.validators().into_iter();
        steps.extend(validators.map(|validator| Step::Validate { number, validator }));
        if self.observed.current != Some(number) {
            steps.push(Step::Switch { number });
        }
        steps
    }

    /// Whether a path is that of a drop-in whose unit is desired. A drop-in has an effect as long as it exists, so an
    /// obsolete one is removed before the unit starts again.
    fn is_drop_in_of_desired_unit(&self, path: &str) -> bool {
        let unit = units::drop_in_of(path);
        unit.is_some_and(|unit| self.desired.units.contains(unit))
    }

    /// Changes of files on the host: those before jobs of units, and those after.
    fn host_files(&self) -> (Vec<Step>, Vec<Step>) {
        let desired = self
            .desired
            .files
            .iter()
            .filter(|(path, _)| path.starts_with(HOST));
        // No generation that may be in use has these contents, so another program or the administrator changed the
        // file.
        let edited = |path: &String| {
            self.observed.host_files.get(path).is_some_and(|found| {
                let same = |files: &Files| files.get(path).is_some_and(|old| old.digest == *found);
                !self.observed.baselines.iter().any(same)
            })
        };
        let mut before: Vec<Step> = desired
            .filter(|(path, file)| self.observed.host_files.get(*path) != Some(&file.digest))
            .filter_map(|(path, _)| {
                Some(Step::WriteFile {
                    path: host_path(path)?.to_owned(),
                    edited: edited(path),
                })
            })
            .collect();
        let obsolete = self.observed.host_files.keys();
        let obsolete = obsolete.filter(|path| !self.desired.files.contains_key(*path));
        let (drop_ins, others): (Vec<&String>, Vec<&String>) =
            obsolete.partition(|path| self.is_drop_in_of_desired_unit(path));
        let remove = |paths: Vec<&String>| -> Vec<Step> {
            let places = paths.into_iter().filter_map(|path| host_path(path));
            places
                .map(|path| Step::RemoveFile { path: path.into() })
                .collect()
        };
        before.extend(remove(drop_ins));
        (before, remove(others))
    }

    /// systemd notices new links, as it notices new unit files, when it reloads.
    fn enable(&self) -> Option<Step> {
        let enabled = |unit: &&String| {
            self.observed
                .units
                .get(*unit)
                .is_some_and(|unit| unit.enabled)
        };
        let desired = self
            .desired
            .units
            .iter()
            .filter(|unit| !units::is_needed(unit));
        let enable = collect(desired.filter(|unit| !enabled(unit)));
        (!enable.is_empty()).then_some(Step::Enable(enable))
    }

    /// Disables the obsolete units that run, or those that do not. One that runs stays enabled until it has stopped,
    /// because systemd ends a socket that no unit wants.
    pub(super) fn disable(&self, running: bool) -> Option<Step> {
        let obsolete = self
            .obsolete_units()
            .filter(|(_, unit)| unit.enabled && unit.runs() == running);
        let disable: Vec<String> = obsolete.map(|(name, _)| name.clone()).collect();
        (!disable.is_empty()).then_some(Step::Disable(disable))
    }

    /// The units on the host that are not desired.
    pub(super) fn obsolete_units(&self) -> impl Iterator<Item = (&String, &UnitState)> {
        let observed = self.observed.units.iter();
        observed.filter(|(name, _)| !self.desired.units.contains(*name))
    }
}

pub(super) fn collect<'a>(units: impl Iterator<Item = &'a String>) -> Vec<String> {
    units.cloned().collect()
}
