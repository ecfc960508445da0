//! Which units restart, reload or stop because of changed files, with the reasons. Pure.

use super::step::{ChangeKind, FileChange, Step, Verb};
use crate::state::paths;
use crate::state::restart_rules::{Effect, Scope, When, rule_for};
use crate::state::units;
use crate::state::{Observed, Resource, State};
use std::collections::{BTreeMap, BTreeSet};

/// For each unit, the strongest effect of the changed files on it, and the files that have this effect.
type Affected = BTreeMap<String, (Effect, BTreeSet<String>)>;

/// Records that a changed file affects a unit.
fn mark_affected(affected: &mut Affected, unit: &str, path: &str) {
    let effect = rule_for(path).effect;
    let entry = affected
        .entry(unit.to_owned())
        .or_insert((Effect::None, BTreeSet::new()));
    if effect > entry.0 {
        *entry = (effect, BTreeSet::new());
    }
    if effect == entry.0 {
        entry.1.insert(path.to_owned());
    }
}

/// The desired units that a scope names; none for scopes that depend on the file.
fn of_scope(desired: &State, scope: Scope) -> BTreeSet<String> {
    let synapse = |unit: &&String| units::is_synapse(unit);
    let image = |unit: &&String| units::is_synapse(unit) || units::is_fork_server(unit);
    match scope {
        Scope::Synapse => desired.units.iter().filter(synapse).cloned().collect(),
        Scope::Image => desired.units.iter().filter(image).cloned().collect(),
        Scope::Unit(unit) => [unit.to_owned()].into(),
        _ => BTreeSet::new(),
    }
}

/// Units that still run with the old contents of files outside of generations, with these files. `found` maps each
/// changed file to the units that started before the change.
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

/// The reason why a changed file affects units, as it is printed.
pub fn reason(path: &str) -> String {
    let file = path.strip_prefix("host").unwrap_or(path);
    format!("{file} changed: {}", rule_for(path).reason)
}

/// The effects of changed files on units.
pub struct Restarts<'a> {
    desired: &'a State,
    observed: &'a Observed,
    affected: Affected,
    /// Units that run now and stop before any unit starts again.
    stops: BTreeSet<String>,
}

impl<'a> Restarts<'a> {
    pub fn new(desired: &'a State, observed: &'a Observed, changes: &[FileChange]) -> Self {
        let mut affected = Affected::new();
        for change in changes {
            for unit in affected_units(desired, observed, change) {
                mark_affected(&mut affected, &unit, &change.path);
            }
        }
        let mut restarts = Self {
            desired,
            observed,
            affected,
            stops: BTreeSet::new(),
        };
        restarts.add_external_files();
        restarts.add_sockets();
        restarts.stops = restarts.units_to_stop_first();
        restarts
    }

    /// Adds the files that no generation contains: those that changed before this run, secrets that it creates, and venvs
    /// that it builds again.
    fn add_external_files(&mut self) {
        for (unit, paths) in outdated(self.desired, &self.observed.outdated) {
            for path in paths {
                mark_affected(&mut self.affected, &unit, &path);
            }
        }
        let missing = self.desired.resources.difference(&self.observed.resources);
        let secrets = missing.filter_map(Resource::secret_path);
        let damaged = self.observed.damaged.keys();
        for path in secrets.chain(damaged.filter_map(Resource::code_of_synapse)) {
            for unit in of_scope(self.desired, rule_for(&path).scope) {
                mark_affected(&mut self.affected, &unit, &path);
            }
        }
    }

    /// A service stops whenever systemd opens, closes or replaces its sockets.
    fn add_sockets(&mut self) {
        let units = self.desired.units.iter().chain(self.observed.units.keys());
        for socket in units.cloned().collect::<BTreeSet<String>>() {
            let service = units::served_by(&socket).filter(|service| self.stays(service));
            if let Some(service) = service
                && !self.remains_open(&socket)
            {
                let path = format!("host{}/{}", paths::UNITS, units::file_of(&socket));
                mark_affected(&mut self.affected, &service, &path);
                mark_affected(&mut self.affected, &socket, &path);
            }
        }
    }

    /// Units that stop before any unit starts again. The sockets of a service stop with it, because a request would
    /// otherwise start it too early. With socket activation, nginx stops before all others, so that new connections
    /// wait at its sockets.
    fn units_to_stop_first(&self) -> BTreeSet<String> {
        // The socket of a service that goes stops with it, when nginx no longer sends requests there.
        let goes =
            |unit: &str| units::served_by(unit).is_some() && !self.desired.units.contains(unit);
        let stops_first = |unit: &&String| {
            self.effect(unit) == Effect::StopFirst && self.runs(unit) && !goes(unit)
        };
        let mut stops: BTreeSet<String> =
            self.affected.keys().filter(stops_first).cloned().collect();
        if stops.iter().all(|unit| unit == units::MAIN) {
            // main has no other process to wait for, so it restarts in one job.
            return BTreeSet::new();
        }
        let sockets = stops.iter().filter_map(|unit| units::socket_of(unit));
        let sockets: Vec<String> = sockets.filter(|socket| self.runs(socket)).collect();
        stops.extend(sockets);
        if self.remains_open(units::NGINX_SOCKET) && self.stays(units::NGINX) {
            stops.insert(units::NGINX.to_owned());
        }
        stops
    }

    /// The effect of the changed files on this unit.
    fn effect(&self, unit: &str) -> Effect {
        self.affected
            .get(unit)
            .map_or(Effect::None, |(effect, _)| *effect)
    }

    fn active(&self, unit: &str) -> bool {
        let state = self.observed.units.get(unit);
        state.is_some_and(|state| state.active)
    }

    /// Whether a unit is active, or about to become active or inactive.
    fn runs(&self, unit: &str) -> bool {
        let state = self.observed.units.get(unit);
        state.is_some_and(|state| state.runs())
    }

    /// Whether a unit runs now and is desired.
    fn stays(&self, unit: &str) -> bool {
        self.runs(unit) && self.desired.units.contains(unit)
    }

    /// Whether a socket is active and remains unchanged.
    fn remains_open(&self, socket: &str) -> bool {
        let desired = self.desired.units.contains(socket);
        desired && self.active(socket) && self.effect(socket) == Effect::None
    }

    /// Whether this unit stops before any unit starts again.
    pub fn stops(&self, unit: &str) -> bool {
        self.stops.contains(unit)
    }

    /// Stops units in three stages: nginx, workers, main. A worker may send requests to main while it stops.
    pub fn stop_first(&self) -> Vec<Step> {
        let nginx = |unit: &str| unit == units::NGINX || unit == units::NGINX_SOCKET;
        let main = |unit: &str| unit == units::MAIN || unit == units::MAIN_SOCKET;
        let stages: [&dyn Fn(&str) -> bool; 3] =
            [&nginx, &|unit| !nginx(unit) && !main(unit), &main];
        let stage = |of: &dyn Fn(&str) -> bool| {
            let units = self.stops.iter().filter(|unit| of(unit));
            self.jobs(Verb::Stop, units.cloned().collect())
        };
        let stops = stages.into_iter().filter_map(stage);
        let holds = self.stops(units::NGINX) && !self.stops(units::NGINX_SOCKET);
        let hold = holds.then_some(Step::Hold).into_iter();
        hold.chain(stops)
            .chain(self.remove_replaced_sockets())
            .collect()
    }

    /// Replaced sockets leave files behind: systemd reads the new unit file only when it stops the old socket, and
    /// Synapse does not start on a path that another program created.
    fn remove_replaced_sockets(&self) -> Option<Step> {
        let renewed = |name: &&String| {
            let affected = self.affected.get(&units::process(name));
            affected.is_some_and(|(_, paths)| paths.iter().any(|path| path.ends_with(".socket")))
        };
        let left = self.observed.sockets.iter().filter(renewed);
        let left: BTreeSet<String> = left.cloned().collect();
        (!left.is_empty()).then_some(Step::RemoveSockets(left))
    }

    /// Starts, restarts and reloads of the desired units that `of` selects: one step for each verb.
    pub fn stage(&self, of: impl Fn(&str) -> bool) -> Vec<Step> {
        // Restarts precede starts: a restarted process may release what a new one takes over.
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
        if !self.active(unit) || self.stops(unit) {
            return Some(Verb::Start);
        }
        match self.effect(unit) {
            Effect::None => None,
            Effect::Reload => Some(Verb::Reload),
            Effect::Restart | Effect::StopFirst => Some(Verb::Restart),
        }
    }

    fn jobs(&self, verb: Verb, units: BTreeSet<String>) -> Option<Step> {
        if units.is_empty() {
            return None;
        }
        let mut reasons: BTreeSet<String> = BTreeSet::new();
        // An obsolete unit stops because it is no longer desired, whatever files changed.
        for (unit, (_, paths)) in units
            .iter()
            .filter_map(|unit| self.affected.get_key_value(unit))
        {
            if self.stays(unit) {
                reasons.extend(paths.iter().map(|path| reason(path)));
            }
        }
        if !units.iter().any(|unit| self.stays(unit)) {
            reasons.insert(match verb {
                Verb::Start => "not running".to_owned(),
                _ => "no longer needed".to_owned(),
            });
        }
        let rolls =
            verb == Verb::Restart && units.iter().any(|unit| units::worker_of(unit).is_some());
        Some(Step::Jobs {
            verb,
            units: units.into_iter().collect(),
            reasons: reasons.into_iter().collect(),
            rolling: rolls.then_some(self.observed.processors.max(1)),
        })
    }
}

/// The units that a changed file affects, by its old and by its new contents.
fn affected_units(desired: &State, observed: &Observed, change: &FileChange) -> BTreeSet<String> {
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
        units.insert(units::MAIN.to_owned());
    }
    units
}
