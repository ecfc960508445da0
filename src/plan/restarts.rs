//! Which unit has to do what because files changed, with the reasons. Pure.

use super::step::{ChangeKind, FileChange, Step, Verb};
use crate::state::paths;
use crate::state::restart_rules::{Change, Scope, When, rule_for};
use crate::state::units;
use crate::state::{Observed, Resource, State};
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
    let synapse = |unit: &&String| units::is_synapse(unit);
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
    /// What runs now, and stops before anything starts again.
    stops: BTreeSet<String>,
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
            stops: BTreeSet::new(),
        };
        restarts.outside();
        restarts.sockets();
        restarts.stops = restarts.first();
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

    /// Where systemd has to take sockets, to let go of them or to make them anew, their service has to stop.
    fn sockets(&mut self) {
        let units = self.desired.units.iter().chain(self.observed.units.keys());
        for socket in units.cloned().collect::<BTreeSet<String>>() {
            let service = units::served_by(&socket).filter(|service| self.stays(service));
            if let Some(service) = service
                && !self.is_kept(&socket)
            {
                let path = format!("host{}/{}", paths::UNITS, units::file_of(&socket));
                touch(&mut self.touched, &service, &path);
                touch(&mut self.touched, &socket, &path);
            }
        }
    }

    /// What stops before anything starts again. With a service its sockets stop, for else a request would start it too
    /// early; and where systemd holds nginx's ports nginx stops before all others, so that requests wait there.
    fn first(&self) -> BTreeSet<String> {
        let told = |unit: &&String| self.change(unit) == Change::StopFirst && self.runs(unit);
        let mut stops: BTreeSet<String> = self.touched.keys().filter(told).cloned().collect();
        if stops.iter().all(|unit| unit == units::MAIN) {
            // Nobody has to be gone before it comes back: it just restarts.
            return BTreeSet::new();
        }
        let sockets = stops.iter().filter_map(|unit| units::socket_of(unit));
        let sockets: Vec<String> = sockets.filter(|socket| self.runs(socket)).collect();
        stops.extend(sockets);
        if self.is_kept(units::NGINX_SOCKET) && self.stays(units::NGINX) {
            stops.insert(units::NGINX.to_owned());
        }
        stops
    }

    /// How the changed files make this unit act.
    fn change(&self, unit: &str) -> Change {
        self.touched
            .get(unit)
            .map_or(Change::None, |(change, _)| *change)
    }

    fn active(&self, unit: &str) -> bool {
        let state = self.observed.units.get(unit);
        state.is_some_and(|state| state.active)
    }

    /// Active, or on its way to or from that.
    fn runs(&self, unit: &str) -> bool {
        let state = self.observed.units.get(unit);
        state.is_some_and(|state| state.active || state.changing)
    }

    /// Runs now, and shall run.
    fn stays(&self, unit: &str) -> bool {
        self.runs(unit) && self.desired.units.contains(unit)
    }

    /// Whether a socket is there and stays as it is.
    fn is_kept(&self, socket: &str) -> bool {
        let wanted = self.desired.units.contains(socket);
        wanted && self.active(socket) && self.change(socket) == Change::None
    }

    /// Whether this unit stops before anything starts again.
    pub fn stops(&self, unit: &str) -> bool {
        self.stops.contains(unit)
    }

    /// What stops first, one stage after another: nginx, workers, main. A worker may ask main for something while it comes
    /// to its end.
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
        hold.chain(stops).chain(self.left_sockets()).collect()
    }

    /// Where other sockets come into place, files of the ones before are left: systemd knows the new unit file only when
    /// it stops the old socket, and Synapse does not start at a path that somebody else has made.
    fn left_sockets(&self) -> Option<Step> {
        let renewed = |name: &&String| {
            let touched = self.touched.get(&units::process(name));
            touched.is_some_and(|(_, paths)| paths.iter().any(|path| path.ends_with(".socket")))
        };
        let left = self.observed.sockets.iter().filter(renewed);
        let left: BTreeSet<String> = left.cloned().collect();
        (!left.is_empty()).then_some(Step::RemoveSockets(left))
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
        if !self.active(unit) || self.stops(unit) {
            return Some(Verb::Start);
        }
        match self.change(unit) {
            Change::None => None,
            Change::Reload => Some(Verb::Reload),
            Change::Restart | Change::StopFirst => Some(Verb::Restart),
        }
    }

    fn jobs(&self, verb: Verb, units: BTreeSet<String>) -> Option<Step> {
        if units.is_empty() {
            return None;
        }
        let mut reasons: BTreeSet<String> = BTreeSet::new();
        // What goes for good goes because it is not wanted, whatever else changed.
        for (unit, (_, paths)) in units
            .iter()
            .filter_map(|unit| self.touched.get_key_value(unit))
        {
            if self.active(unit) && self.desired.units.contains(unit) {
                reasons.extend(paths.iter().map(|path| reason(path)));
            }
        }
        if !units.iter().any(|unit| self.stays(unit)) {
            reasons.insert(match verb {
                Verb::Start => "not running".to_owned(),
                _ => "no longer wanted".to_owned(),
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
        units.insert(units::MAIN.to_owned());
    }
    units
}
