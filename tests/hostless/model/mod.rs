//! A host in memory: what each step of a plan does to files, units, resources and to what processes run with.
//!
//! It also watches: a step that could not be done on a real host, or after which two processes would disagree on who
//! does what, fails the test at once.

mod steps;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::plan::names;
use synapse_workers::plan::state::{Files, HOST, Observed, Resource, State, UnitState};
use synapse_workers::plan::{Plan, Removal, Target};
use watch::digests;

/// What a process has read, by path: digests of what it goes by.
type View = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub struct Model {
    generations: BTreeMap<u32, State>,
    current: Option<u32>,
    applied: Option<u32>,
    /// Generations switched to since one was applied to its end.
    switched: Vec<u32>,
    /// Our files outside of generations, by their path in one.
    host_files: BTreeMap<String, String>,
    /// The same, as systemd last read them.
    loaded: BTreeMap<String, String>,
    pub units: BTreeMap<String, UnitState>,
    running: BTreeMap<String, View>,
    pub resources: BTreeSet<Resource>,
    pub made: BTreeSet<Resource>,
    /// Made by the run that is under way.
    made_now: BTreeSet<Resource>,
    /// Whether it did anything that processes or systemd see.
    seen: bool,
    /// The generation that it found, and the number that it gave to a new one.
    found: (Option<u32>, u32),
    sockets: BTreeSet<String>,
}

/// How far a run gets.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Done,
    /// Cut before the step of this number; the number after the last is a verification that fails.
    Before(usize),
    /// Cut within it: half of the units of a job are done, the others failed.
    Within(usize),
}

impl Model {
    /// A host on which this state was installed, said without any plan.
    pub fn running(state: &State) -> Self {
        let host_files: BTreeMap<String, String> = digests(&state.files)
            .into_iter()
            .filter(|(path, _)| path.starts_with(HOST))
            .collect();
        let mut model = Self {
            generations: [(1, state.clone())].into(),
            current: Some(1),
            applied: Some(1),
            loaded: host_files.clone(),
            host_files,
            resources: state.resources.clone(),
            made: state.resources.clone(),
            ..Self::default()
        };
        for unit in &state.units {
            if !model.running.contains_key(unit) {
                model.start(unit);
            }
            model.units.get_mut(unit).unwrap().enabled = !names::is_needed(unit);
        }
        model
    }

    /// A process ended, and systemd gave up on it.
    pub fn crash(&mut self, unit: &str) {
        self.stop(unit);
        let state = self.units.get_mut(unit).unwrap();
        (state.active, state.failed) = (false, true);
    }

    /// As the host's own `observe`.
    pub fn observe(&self, desired: &State) -> Observed {
        let mut numbers: Vec<u32> = self.applied.into_iter().collect();
        numbers.extend(&self.switched);
        numbers.extend(self.current);
        let generations = numbers.iter().map(|number| &self.generations[number]);
        let resources = generations
            .clone()
            .flat_map(|generation| generation.resources.clone());
        let in_use = resources.collect();
        let mut baselines: Vec<Files> = generations
            .map(|generation| generation.files.clone())
            .collect();
        if self.applied.is_none() && self.current.is_some() {
            baselines.insert(0, Files::new());
        }
        let places: BTreeSet<&String> = baselines
            .iter()
            .chain([&desired.files])
            .flat_map(|files| files.keys())
            .collect();
        let candidates: BTreeSet<Resource> = Resource::directories()
            .chain(desired.resources.union(&self.made).cloned())
            .collect();
        Observed {
            notes: Vec::new(),
            host_files: self
                .host_files
                .iter()
                .filter(|(path, _)| places.contains(path))
                .map(|(path, digest)| (path.clone(), digest.clone()))
                .collect(),
            units: self.units.clone(),
            resources: candidates.intersection(&self.resources).cloned().collect(),
            current: self.current,
            applied: self.applied,
            next: self.generations.keys().last().map_or(1, |last| last + 1),
            made: self.made.clone(),
            sockets: self.sockets.clone(),
            outdated: BTreeMap::new(),
            processors: 2,
            baselines,
            in_use,
        }
    }

    /// One run towards a state that is rendered now, up to `end`; the plan that it had.
    pub fn run(&mut self, desired: &State, end: End) -> Plan {
        self.towards(desired, Target::Rendered, Removal::Keep, end)
    }

    /// One run of any kind.
    pub fn towards(&mut self, to: &State, target: Target, removal: Removal, end: End) -> Plan {
        self.planned(to, target, removal, end, |plan, _| plan)
    }

    /// One run towards a state that is rendered now, by a plan with more in it.
    pub fn through(
        &mut self,
        to: &State,
        end: End,
        more: impl FnOnce(Plan, &Observed) -> Plan,
    ) -> Plan {
        self.planned(to, Target::Rendered, Removal::Keep, end, more)
    }

    fn planned(
        &mut self,
        to: &State,
        target: Target,
        removal: Removal,
        end: End,
        more: impl FnOnce(Plan, &Observed) -> Plan,
    ) -> Plan {
        let observed = self.observe(to);
        self.made_now.clear();
        self.seen = false;
        self.found = (self.applied.or(self.current), observed.next);
        let plan = Plan::between(to, &observed, target, removal);
        let plan = more(plan, &observed);
        self.apply(&plan, to, end);
        plan
    }

    /// The way back after a run that failed, as `converge` takes it.
    pub fn undo(&mut self, end: End) -> Plan {
        let (before, target) = match self.found.0 {
            Some(number) => (
                self.generations[&number].clone(),
                Target::Generation(number),
            ),
            None => (State::default(), Target::Nothing),
        };
        let mut observed = self.observe(&before);
        observed.resources.extend(self.made_now.iter().cloned());
        observed.made = std::mem::take(&mut self.made_now);
        let plan = Plan::back(&before, &observed, target, self.seen);
        self.apply(&plan, &before, end);
        if matches!(end, End::Done) {
            self.generations.remove(&self.found.1);
        }
        plan
    }

    fn apply(&mut self, plan: &Plan, desired: &State, end: End) {
        for (number, step) in plan.steps.iter().enumerate() {
            match end {
                End::Before(cut) if cut == number => return,
                _ => self.seen |= step.is_seen(),
            }
            match end {
                End::Within(cut) if cut == number => return self.half(step),
                _ => self.step(step, desired),
            }
            self.agree();
        }
        if matches!(end, End::Before(cut) if cut == plan.steps.len()) {
            return;
        }
        if let Some(number) = plan.generation {
            self.applied = Some(number);
            self.switched.clear();
        }
    }
}
