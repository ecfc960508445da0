//! Runs on a host in memory. They use the program's own code for convergence and rollback, with injected faults.

use super::{Direction, Model};
use anyhow::{Result, bail, ensure};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use synapse_workers::converge::verify::Expected;
use synapse_workers::converge::{ConvergeError, Goal, World, converge};
use synapse_workers::plan::SettingsChange;
use synapse_workers::plan::step::Step;
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::report::Report;
use synapse_workers::state::Records;
use synapse_workers::state::acme::Order;
use synapse_workers::state::{Observed, Resource, State};

/// A point in a run at which a fault can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No fault: the run succeeds.
    Done,
    /// Before the step of this number. The number after the last step means the point after all steps.
    Before(usize),
    /// Within the step of this number: half of the units of a job are done, the others failed.
    Within(usize),
    /// During verification.
    Verification,
    /// In this call during the rollback.
    Call(&'static str),
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The program is killed.
    Killed,
    /// The operation fails.
    Failed,
}

/// A fault that is injected once: in which direction, at which point, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub Direction, pub End, pub FaultKind);

/// The parameters of a run.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    pub to: &'a State,
    pub target: Target,
    pub removal: Removal,
    pub moving: Option<&'a str>,
    /// The settings text that the run writes.
    pub settings: Option<&'a str>,
    pub faults: &'a [Fault],
}

impl<'a> Attempt<'a> {
    /// An installation of this state.
    pub fn install(to: &'a State) -> Self {
        Self {
            to,
            target: Target::Rendered,
            removal: Removal::Keep,
            moving: None,
            settings: None,
            faults: &[],
        }
    }
}

/// The result of a run.
pub struct Outcome {
    pub plan: Plan,
    /// Steps that the rollback attempted.
    pub back: Vec<Step>,
    /// `None` if the run was killed.
    pub result: Option<Result<(), ConvergeError>>,
    /// The output on the terminal.
    pub printed: String,
}

impl Outcome {
    /// The exit status and the message of the final error.
    pub fn failure(&self) -> (u8, String) {
        match &self.result {
            Some(Err(missed)) => (missed.failure.code as u8, missed.failure.to_string()),
            Some(Ok(())) => panic!("the run succeeded"),
            None => panic!("the run was killed"),
        }
    }
}

/// The panic payload that unwinds a killed run.
struct Killed;

impl Model {
    /// Performs one run as the program does.
    pub fn attempt(&mut self, attempt: &Attempt) -> Outcome {
        let observed = self.observe(attempt.to);
        let before = self.settings.clone();
        let goal = Goal {
            desired: attempt.to,
            target: attempt.target,
            removal: attempt.removal,
            moving: attempt.moving.map(str::to_owned),
            settings: attempt.settings.map(|text| SettingsChange {
                path: "settings.yaml".into(),
                before: Some(before),
                after: Some(text.to_owned()),
                what: "workers".to_owned(),
                copy: None,
            }),
            settings_text: String::new(),
            summary: String::new(),
            expected: Expected {
                units: attempt.to.units.clone(),
                ..Expected::default()
            },
        };
        let plan = goal.plan(&observed);
        let printed = Rc::new(RefCell::new(String::new()));
        let sink = Rc::clone(&printed);
        let report = Report::into(move |text| sink.borrow_mut().push_str(text));
        let mut run = Run {
            model: self,
            faults: attempt.faults,
            way: Direction::Forward,
            number: 0,
            back: Vec::new(),
        };
        let ended = catch_unwind(AssertUnwindSafe(|| {
            converge(&mut run, &goal, &plan, &observed, &report)
        }));
        let back = run.back;
        self.lenient = false;
        let result = match ended {
            Ok(result) => Some(result),
            Err(killed) if killed.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        };
        let printed = printed.borrow().clone();
        Outcome {
            plan,
            back,
            result,
            printed,
        }
    }
}

/// A model and the faults to inject into one run on it.
struct Run<'a> {
    model: &'a mut Model,
    faults: &'a [Fault],
    way: Direction,
    /// The number of the next step.
    number: usize,
    back: Vec<Step>,
}

impl Run<'_> {
    /// Injects the fault of this point, if there is one.
    fn inject(&mut self, end: End) -> Result<()> {
        let how = |fault: &Fault| (fault.0 == self.way && fault.1 == end).then_some(fault.2);
        match self.faults.iter().find_map(how) {
            None => Ok(()),
            Some(FaultKind::Killed) => resume_unwind(Box::new(Killed)),
            Some(FaultKind::Failed) => {
                // Later rollback steps run on a host on which this step was not done.
                self.model.lenient = self.way == Direction::Back;
                bail!("a fault {:?} at {end:?}", self.way)
            }
        }
    }

    fn do_step(&mut self, step: &Step, desired: &State) -> Result<()> {
        let number = self.number;
        self.number += 1;
        if self.way == Direction::Back {
            self.back.push(step.clone());
            self.inject(End::Before(number))?;
        }
        if self
            .faults
            .iter()
            .any(|fault| fault.1 == End::Within(number) && fault.0 == self.way)
        {
            self.model.half(step);
            self.inject(End::Within(number))?;
        }
        self.model.step(step, desired);
        self.model.agree();
        Ok(())
    }
}

impl World for Run<'_> {
    type Backup = Resource;

    fn observe(&self, desired: &State) -> Result<Observed> {
        Ok(match self.way {
            Direction::Forward => self.model.observe(desired),
            // The rollback ignores the secrets that were provided to the run.
            Direction::Back => self.model.observe_without(desired, &BTreeSet::new()),
        })
    }

    fn generation(&self, number: u32) -> Result<State> {
        let generation = self.model.generations.get(&number);
        let generation = generation.map(|state| State::clone(state));
        generation.ok_or_else(|| anyhow::anyhow!("generation {number} is lost"))
    }

    fn between(&mut self, number: usize, _: &str) -> Result<()> {
        self.inject(End::Before(number))
    }

    fn apply(&mut self, step: &Step, goal: &Goal) -> Result<Option<String>> {
        if let (Step::WriteSettings { .. }, Some(change)) = (step, &goal.settings) {
            self.model.settings = change.after.clone().unwrap_or_default();
        }
        self.do_step(step, goal.desired)?;
        Ok(None)
    }

    fn back_up(&self, resource: &Resource) -> Result<Option<Resource>> {
        let there = self.model.resources.contains(resource) && resource.secret_path().is_some();
        Ok(there.then(|| resource.clone()))
    }

    fn restore(&mut self, backup: &Resource, _: bool) -> Result<()> {
        self.inject(End::Call("restore"))?;
        self.model.stale.insert(backup.clone());
        Ok(())
    }

    fn record(&mut self, made: &BTreeSet<Resource>) -> Result<()> {
        self.model.made.clone_from(made);
        Ok(())
    }

    fn verify(&mut self, expected: &Expected) -> Result<()> {
        self.inject(End::Verification)?;
        let runs = |unit: &&String| !self.model.running.contains_key(*unit);
        let silent: Vec<&String> = expected.units.iter().filter(runs).collect();
        ensure!(silent.is_empty(), "{silent:?} do not run");
        Ok(())
    }

    fn applied(&mut self, generation: Option<u32>) -> Result<()> {
        self.inject(match self.way {
            Direction::Forward => End::Call("applied"),
            Direction::Back => End::Before(self.number),
        })?;
        if let Some(number) = generation {
            self.model.applied = Some(number);
            self.model.switched.clear();
        }
        Ok(())
    }

    fn hand_over(&mut self, _: &BTreeMap<String, String>) {}

    fn begin_rollback(&mut self) {
        (self.way, self.number) = (Direction::Back, 0);
    }

    fn restore_settings(&mut self, settings: &SettingsChange) -> Result<()> {
        self.inject(End::Call("restore_settings"))?;
        self.model.settings = settings.before.clone().unwrap_or_default();
        Ok(())
    }

    fn discard_migration(&mut self) -> Result<()> {
        self.inject(End::Call("discard_migration"))
    }

    fn forget_generation(&mut self, number: u32) -> Result<()> {
        ensure!(
            self.model.current != Some(number),
            "generation {number} is in use"
        );
        self.model.generations.remove(&number);
        Ok(())
    }
}

impl Model {
    /// The state that a run observes.
    pub fn observe(&self, desired: &State) -> Observed {
        self.observe_without(desired, &self.stale)
    }

    /// The same, without the resources in `stale`.
    fn observe_without(&self, desired: &State, stale: &BTreeSet<Resource>) -> Observed {
        let records = Records {
            current: self.current,
            applied: self.applied,
            switched: Some(self.switched.clone()),
            written: self.generations.keys().copied().collect(),
            created: self.made.clone(),
        };
        let state = |number| {
            let generation = self.generations.get(&number);
            let state = generation.map(|state| State::clone(state));
            (number, state.unwrap_or_default())
        };
        let states: BTreeMap<u32, State> = records.generations().into_iter().map(state).collect();
        let mut observed = Observed::recorded(records, states);
        let places = observed.places(desired);
        let files = self.host_files.iter();
        let files = files.filter(|(path, _)| places.contains(*path));
        observed.host_files = files
            .map(|(path, digest)| (path.clone(), digest.clone()))
            .collect();
        observed.resources = observed.candidates(desired);
        let exists = |it: &Resource| self.resources.contains(it) && !stale.contains(it);
        let damaged =
            |it: &Resource| desired.resources.contains(it) && self.damaged.contains_key(it);
        observed.resources.retain(|it| exists(it) && !damaged(it));
        observed.damaged.clone_from(&self.damaged);
        observed.damaged.retain(|it, _| damaged(it));
        observed.units.clone_from(&self.units);
        observed.sockets.clone_from(&self.sockets);
        let order = Order::of_state(desired);
        observed.lacks_certificate = order.is_some() && order != self.certificate;
        observed.processors = 2;
        observed
    }
}
