//! Invariants of the model: running processes agree after every step, and after a run the host is in the desired state.

use super::{Model, View};
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::state::restart_rules::{RULES, Rule, Scope, When, rule_for};
use synapse_workers::state::units;
use synapse_workers::state::{File, Files, HOST, State, UnitState};

/// Files that all running processes must have read in the same version.
pub const SHARED_LISTS: [&str; 3] = [
    "synapse/shared.d/stream_writers.yaml",
    "synapse/shared.d/instance_map.yaml",
    "synapse/shared.d/replication.yaml",
];

impl Model {
    /// Asserts that all running processes use the same lists.
    pub(super) fn agree(&self) {
        if self.lenient {
            return;
        }
        let synapse = || {
            self.running
                .iter()
                .filter(|(unit, _)| units::is_synapse(unit))
        };
        for path in SHARED_LISTS {
            let seen: BTreeSet<Option<&String>> =
                synapse().map(|(_, view)| view.get(path)).collect();
            assert!(seen.len() < 2, "processes run with different {path}");
        }
        let listed = |rule: &&Rule| matches!(rule.scope, Scope::Listed { .. });
        for path in RULES.iter().filter(listed).map(|rule| rule.path) {
            let mut doing: BTreeSet<&str> = synapse()
                .filter(|(unit, _)| *unit != units::MAIN)
                .filter_map(|(_, view)| Some(view.get(path)?.as_str()))
                .collect();
            // Main performs a duty as long as its configuration names no worker for it.
            if self
                .running
                .get(units::MAIN)
                .is_some_and(|view| !view.contains_key(path))
            {
                doing.insert("main");
            }
            assert!(doing.len() < 2, "two go by different {path}");
        }
    }

    /// Asserts that the host is in this state and that every process runs with it.
    pub fn assert_settled(&self, desired: &State, case: &str) {
        let current = self.current.map(|number| &self.generations[&number]);
        let files = current
            .map(|state| digests(&state.files))
            .unwrap_or_default();
        same(&files, &digests(&desired.files), case, "current");
        let wanted = digests(&desired.files).into_iter();
        let wanted = wanted.filter(|(path, _)| path.starts_with(HOST)).collect();
        same(&self.host_files, &wanted, case, "on the host");
        same(&self.loaded, &wanted, case, "known to systemd");
        let up = |unit: &String| UnitState {
            changing: false,
            active: true,
            enabled: !units::is_needed(unit),
            failed: false,
            stale: false,
        };
        let units: BTreeMap<String, UnitState> = desired
            .units
            .iter()
            .map(|unit| (unit.clone(), up(unit)))
            .collect();
        same(&self.units, &units, case, "in systemd");
        for (unit, seen) in &self.running {
            same(seen, &view(&desired.files, unit), case, unit);
        }
        let missing: Vec<_> = desired.resources.difference(&self.resources).collect();
        assert!(missing.is_empty(), "{case}: missing {missing:?}");
        let processes = desired.units.iter().filter(|unit| units::is_synapse(unit));
        let sockets: BTreeSet<String> = processes
            .map(|unit| units::worker_of(unit).unwrap_or("main").to_owned())
            .collect();
        assert_eq!(self.sockets, sockets, "{case}: sockets");
    }
}

/// Asserts that both maps are equal, and reports the differences by path.
fn same<T: PartialEq + std::fmt::Debug>(
    left: &BTreeMap<String, T>,
    right: &BTreeMap<String, T>,
    case: &str,
    what: &str,
) {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differs = |key: &&&String| left.get(**key) != right.get(**key);
    let shown = |key: &&String| format!("{key} is {:?}, not {:?}", left.get(*key), right.get(*key));
    let differences: Vec<String> = keys.iter().filter(differs).map(shown).collect();
    assert!(differences.is_empty(), "{case}, {what}: {differences:#?}");
}

/// The configuration that a process of this unit reads from these files.
pub(super) fn view(files: &Files, unit: &str) -> View {
    let mut view = View::new();
    for (path, file) in files {
        let listed = match unit {
            units::MAIN => match rule_for(path).scope {
                Scope::Listed { main } => Some(main),
                _ => None,
            },
            _ => None,
        };
        match listed {
            Some(When::Always) => drop(view.insert(path.clone(), file.digest.clone())),
            Some(When::AddedOrRemoved) => drop(view.insert(path.clone(), "there".to_owned())),
            None if file.affects.contains(unit) => {
                drop(view.insert(path.clone(), file.digest.clone()));
            }
            None => {}
        }
    }
    view
}

pub(super) fn digests(files: &Files) -> BTreeMap<String, String> {
    let digest = |(path, file): (&String, &File)| (path.clone(), file.digest.clone());
    files.iter().map(digest).collect()
}
