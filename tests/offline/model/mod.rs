//! A host in memory: what each step of a plan does to files, units, resources and to what processes run with.
//!
//! It also watches: a step that could not be done on a real host, or after which two processes would disagree on who
//! does what, fails the test at once.

mod run;
mod steps;
mod watch;

pub use run::{Attempt, End, Ended, Fault, How};

use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::units;
use synapse_workers::state::{HOST, Resource, State, UnitState};
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
    /// Secrets with another content than the next run is given.
    pub stale: BTreeSet<Resource>,
    pub settings: String,
    sockets: BTreeSet<String>,
    /// Whether a step may meet a host on which those before it were not done.
    lenient: bool,
}

/// Towards the goal of a run, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    There,
    Back,
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
            model.units.get_mut(unit).unwrap().enabled = !units::is_needed(unit);
        }
        model
    }

    /// A process ended, and systemd gave up on it.
    pub fn crash(&mut self, unit: &str) {
        self.stop(unit);
        let state = self.units.get_mut(unit).unwrap();
        (state.active, state.failed) = (false, true);
    }

    /// The state of a generation is not on disk any more.
    pub fn lose(&mut self, generation: u32) {
        self.generations.remove(&generation);
    }

    /// One run towards a state that is rendered now, which is killed at `end`; the plan that it had.
    pub fn run(&mut self, desired: &State, end: End) -> Plan {
        self.towards(desired, Target::Rendered, Removal::Keep, end)
    }

    /// One run of any kind.
    pub fn towards(&mut self, to: &State, target: Target, removal: Removal, end: End) -> Plan {
        let ended = self.attempt(&Attempt {
            target,
            removal,
            faults: &[Fault(Way::There, end, How::Killed)],
            ..Attempt::install(to)
        });
        assert!(
            !matches!(ended.result, Some(Err(_))),
            "{:?}",
            ended.failure()
        );
        ended.plan
    }

    /// One run towards a state that is rendered now, which fails at `end` and rolls back.
    pub fn fails(&mut self, to: &State, end: End) -> Ended {
        self.attempt(&Attempt {
            faults: &[Fault(Way::There, end, How::Failed)],
            ..Attempt::install(to)
        })
    }
}
