//! A host in memory. It simulates what each step of a plan changes: files, units, resources, and the configuration that
//! each process has read.
//!
//! The model also checks each step. The test fails at once when a step could not run on a real host, or when two
//! processes would disagree about their duties after it.

mod run;
mod steps;
mod watch;

pub use run::{Attempt, End, Fault, FaultKind, Outcome};
pub use watch::SHARED_LISTS;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::acme::Order;
use synapse_workers::state::units;
use synapse_workers::state::{HOST, Resource, State, UnitState};
use watch::digests;

/// The configuration that a process has read: digests by path.
type View = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub struct Model {
    generations: BTreeMap<u32, Rc<State>>,
    current: Option<u32>,
    applied: Option<u32>,
    /// Generations that were switched to since the last one that was fully applied.
    switched: Vec<u32>,
    /// Our files outside of generations, by their path inside a generation.
    host_files: BTreeMap<String, String>,
    /// The same files as systemd last read them.
    loaded: BTreeMap<String, String>,
    pub units: BTreeMap<String, UnitState>,
    running: BTreeMap<String, View>,
    pub resources: BTreeSet<Resource>,
    pub made: BTreeSet<Resource>,
    /// Secrets whose content differs from the value provided to the next run.
    pub stale: BTreeSet<Resource>,
    /// Venvs that are damaged, with the reason.
    pub damaged: BTreeMap<Resource, String>,
    pub settings: String,
    /// The order that the authority fulfilled last.
    certificate: Option<Order>,
    sockets: BTreeSet<String>,
    /// Whether steps accept a host on which earlier steps failed.
    lenient: bool,
}

/// The direction of a run: towards its goal, or back to the state before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Back,
}

impl Model {
    /// A host on which this state is installed, built without a plan.
    pub fn running(state: &State) -> Self {
        let host_files: BTreeMap<String, String> = digests(&state.files)
            .into_iter()
            .filter(|(path, _)| path.starts_with(HOST))
            .collect();
        let mut model = Self {
            generations: [(1, Rc::new(state.clone()))].into(),
            current: Some(1),
            applied: Some(1),
            loaded: host_files.clone(),
            host_files,
            resources: state.resources.clone(),
            made: state.resources.clone(),
            certificate: Order::of_state(state),
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

    /// Simulates a process that ended and that systemd no longer restarts.
    pub fn crash(&mut self, unit: &str) {
        self.stop(unit);
        let state = self.units.get_mut(unit).unwrap();
        (state.active, state.failed) = (false, true);
    }

    /// Simulates `systemctl stop synapse-workers.target`.
    pub fn stop_all(&mut self) {
        let running: Vec<String> = self.running.keys().cloned().collect();
        for unit in running {
            if self.running.contains_key(&unit) {
                self.stop(&unit);
            }
        }
    }

    /// Removes the state of a generation from the disk.
    pub fn lose(&mut self, generation: u32) {
        self.generations.remove(&generation);
    }

    /// Runs an installation of a rendered state that is killed at `end`. Returns its plan.
    pub fn run(&mut self, desired: &State, end: End) -> Plan {
        self.towards(desired, Target::Rendered, Removal::Keep, end)
    }

    /// Runs towards a state with any target and removal, and is killed at `end`. Returns the plan.
    pub fn towards(&mut self, to: &State, target: Target, removal: Removal, end: End) -> Plan {
        let ended = self.attempt(&Attempt {
            target,
            removal,
            faults: &[Fault(Direction::Forward, end, FaultKind::Killed)],
            ..Attempt::install(to)
        });
        assert!(
            !matches!(ended.result, Some(Err(_))),
            "{:?}",
            ended.failure()
        );
        ended.plan
    }

    /// Runs an installation of a rendered state that fails at `end` and rolls back.
    pub fn fails(&mut self, to: &State, end: End) -> Outcome {
        self.attempt(&Attempt {
            faults: &[Fault(Direction::Forward, end, FaultKind::Failed)],
            ..Attempt::install(to)
        })
    }
}
