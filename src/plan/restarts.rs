//! Which unit has to do what because files changed, with the reasons. Pure.

use super::names;
use super::rules::{Change, Scope, When, rule_for};
use super::state::{Observed, Resource, State};
use super::step::{ChangeKind, FileChange, Step, Verb};
use std::collections::{BTreeMap, BTreeSet};

/// For each unit the strongest change that concerns it, and the files behind changes of that force.
type Touched = BTreeMap<String, (Change, BTreeSet<String>)>;

/// Notes that a changed file concerns a unit.
fn touch(touched: &mut Touched, unit: &str, path: &str) {
    let change = rule_for(path).change;
    let entry = touched
        .entry(unit.to_owned())
        .or_insert((Change::None, BTreeSet::new()));
    if change > entry.0 {
        *entry = (change, BTreeSet::new());
    }
    if change == entry.0 {
        entry.1.insert(path.to_owned());
    }
}

/// The wanted units that a file of this scope concerns, where the file itself does not say so.
fn of_scope(desired: &State, scope: Scope) -> BTreeSet<String> {
    let synapse = |unit: &&String| names::is_synapse(unit);
    match scope {
        Scope::Synapse => desired.units.iter().filter(synapse).cloned().collect(),
        Scope::Unit(unit) => [unit.to_owned()].into(),
        _ => BTreeSet::new(),
    }
}

/// Units that run with what a file outside of generations was before, with these files. `found` has for each file that
/// changed the units that began before.
pub fn outdated(
    state: &State,
    found: &BTreeMap<String, BTreeSet<String>>,
) -> BTreeMap<String, BTreeSet<String>> {
    let mut outdated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, units) in found {
        for unit in of_scope(state, rule_for(path).scope).intersection(units) {
            let paths = outdated.entry(unit.clone()).or_default();
            paths.insert(path.clone());
        }
    }
    outdated
}

/// Why a changed file makes units act, in words.
pub fn reason(path: &str) -> String {
    let file = path.strip_prefix("host").unwrap_or(path);
    format!("{file} changed: {}", rule_for(path).reason)
}

/// Changed files, turned into units that act.
pub struct Restarts<'a> {
    desired: &'a State,
    observed: &'a Observed,
    touched: Touched,
}

impl<'a> Restarts<'a> {
    pub fn new(desired: &'a State, observed: &'a Observed, changes: &[FileChange]) -> Self {
        let mut touched = Touched::new();
        for change in changes {
            for unit in concerned(desired, observed, change) {
                touch(&mut touched, &unit, &change.path);
            }
        }
        let mut restarts = Self {
            desired,
            observed,
            touched,
        };
        restarts.outside();
        restarts
    }

    /// What changed outside of generations: before this run, or by it.
    fn outside(&mut self) {
        for (unit, paths) in outdated(self.desired, &self.observed.outdated) {
            for path in paths {
                touch(&mut self.touched, &unit, &path);
            }
        }
        let missing = self.desired.resources.difference(&self.observed.resources);
        for path in missing.filter_map(Resource::secret_path) {
            for unit in of_scope(self.desired, rule_for(&path).scope) {
                touch(&mut self.touched, &unit, &path);
            }
        }
    }

    /// How the changed files make this unit act.
    pub fn change(&self, unit: &str) -> Change {
        self.touched
            .get(unit)
            .map_or(Change::None, |(change, _)| *change)
    }

    fn active(&self, unit: &str) -> bool {
        self.observed
            .units
            .get(unit)
            .is_some_and(|state| state.active)
    }

    /// Workers that stop before any of them starts again, together with those that go for good.
    pub fn stop_first(&self, gone: Vec<&String>) -> Option<Step> {
        let mut units: BTreeSet<String> = self
            .desired
            .units
            .iter()
            .filter(|unit| names::worker_of(unit).is_some())
            .filter(|unit| self.active(unit) && self.change(unit) == Change::StopFirst)
            .cloned()
            .collect();
        units.extend(gone.into_iter().cloned());
        self.jobs(Verb::Stop, units)
    }

    /// Starts, restarts and reloads among the wanted units that `of` selects: one step for each verb.
    pub fn stage(&self, of: impl Fn(&str) -> bool) -> Vec<Step> {
        // Restarts before starts: a restarted process may free what a new one takes over.
        [Verb::Restart, Verb::Start, Verb::Reload]
            .into_iter()
            .filter_map(|verb| {
                let units = self.desired.units.iter();
                let due = units.filter(|unit| of(unit) && self.verb(unit) == Some(verb));
                self.jobs(verb, due.cloned().collect())
            })
            .collect()
    }

    fn verb(&self, unit: &str) -> Option<Verb> {
        if !self.active(unit) {
            return Some(Verb::Start);
        }
        match self.change(unit) {
            Change::None => None,
            Change::Reload => Some(Verb::Reload),
            Change::Restart => Some(Verb::Restart),
            // The worker was stopped in the stage before; main is what the others wait for, and just restarts.
            Change::StopFirst if names::worker_of(unit).is_some() => Some(Verb::Start),
            Change::StopFirst => Some(Verb::Restart),
        }
    }

    fn jobs(&self, verb: Verb, units: BTreeSet<String>) -> Option<Step> {
        if units.is_empty() {
            return None;
        }
        // What goes for good goes because it is not wanted, whatever else changed.
        let running: Vec<&String> = units
            .iter()
            .filter(|unit| self.active(unit) && self.desired.units.contains(*unit))
            .collect();
        let mut reasons: BTreeSet<String> = BTreeSet::new();
        for (_, paths) in running.iter().filter_map(|unit| self.touched.get(*unit)) {
            for path in paths {
                reasons.insert(reason(path));
            }
        }
        if running.is_empty() {
            let reason = if verb == Verb::Start {
                "not running"
            } else {
                "no longer wanted"
            };
            reasons = [reason.to_owned()].into();
        }
        Some(Step::Jobs {
            verb,
            units: units.into_iter().collect(),
            reasons: reasons.into_iter().collect(),
        })
    }
}

/// The units that a changed file concerns: those it affected before and those it affects now.
fn concerned(desired: &State, observed: &Observed, change: &FileChange) -> BTreeSet<String> {
    let before = observed
        .baselines
        .iter()
        .filter_map(|files| files.get(&change.path));
    let now = desired.files.get(&change.path);
    let mut units: BTreeSet<String> = before
        .chain(now)
        .flat_map(|file| file.affects.iter().cloned())
        .collect();
    if let Scope::Listed { main } = rule_for(&change.path).scope
        && (main == When::Always || change.kind != ChangeKind::Changed)
    {
        units.insert(names::MAIN.to_owned());
    }
    units
}
