//! Tests of runs on several hosts, with hosts that record the calls.

use super::*;
use crate::converge::verify::Expected;
use crate::converge::{Call, Goal, Session, SettingsChange, converge_all};
use crate::plan::step::{Step, Verb};
use crate::plan::{Plan, Removal, Target};
use crate::state::{Observed, Resource, State, UnitState, units};
use anyhow::{Context, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

const WORKER: &str = "synapse-worker@app2_typing1.service";

type Calls = Arc<Mutex<Vec<String>>>;

fn say(calls: &Calls, text: impl Into<String>) {
    calls.lock().unwrap().push(text.into());
}

/// This host.
struct First {
    calls: Calls,
    /// The state before the run, if it is not the empty one.
    before: Option<State>,
}

impl World for First {
    type Backup = ();

    fn observe(&self, _: &State) -> Result<Observed> {
        let active = UnitState {
            active: true,
            ..UnitState::default()
        };
        let units = [WORKER, "synapse-worker@app2_typing1.socket", units::REDIS];
        Ok(Observed {
            units: units.map(|unit| (unit.to_owned(), active)).into(),
            ..Observed::default()
        })
    }

    fn generation(&self, _: u32) -> Result<State> {
        self.before.clone().context("no generation")
    }

    fn between(&mut self, _: usize, _: &str) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, step: &Step, _: &Goal) -> Result<Option<String>> {
        let text = step.to_string();
        say(
            &self.calls,
            format!("first: {}", text.lines().next().unwrap()),
        );
        Ok(None)
    }

    fn back_up(&self, _: &Resource) -> Result<Option<()>> {
        Ok(None)
    }

    fn restore(&mut self, (): &(), _: bool) -> Result<()> {
        Ok(())
    }

    fn record(&mut self, _: &BTreeSet<Resource>) -> Result<()> {
        Ok(())
    }

    fn verify(&mut self, _: &Expected) -> Result<()> {
        say(&self.calls, "first: verify");
        Ok(())
    }

    fn applied(&mut self, _: Option<u32>) -> Result<()> {
        say(&self.calls, "first: applied");
        Ok(())
    }

    fn hand_over(&mut self, _: &BTreeMap<String, String>) {}

    fn begin_rollback(&mut self) {
        say(&self.calls, "first: begin_rollback");
    }

    fn restore_settings(&mut self, _: &SettingsChange) -> Result<()> {
        Ok(())
    }

    fn discard_migration(&mut self) -> Result<()> {
        Ok(())
    }

    fn forget_generation(&mut self, _: u32) -> Result<()> {
        Ok(())
    }
}

/// Another host with these stages, which fails at one of them and may be lost from then on.
struct Other {
    calls: Calls,
    stages: Vec<Stage>,
    fails_at: Option<Stage>,
    /// Whether the rollback does not stop its processes.
    keeps_running: bool,
    lost: bool,
}

impl Other {
    fn call(&self, text: String) -> Result<()> {
        ensure!(!self.lost, "ssh has ended");
        say(&self.calls, format!("app2: {text}"));
        Ok(())
    }

    fn planned(&self) -> Vec<Planned> {
        let planned = self.stages.iter().map(|stage| Planned {
            text: format!("{stage:?}"),
            stage: *stage,
        });
        planned.collect()
    }
}

impl Member for Other {
    fn name(&self) -> &str {
        "app2"
    }

    fn plan(&self) -> Vec<Planned> {
        self.planned()
    }

    fn apply(&mut self, step: usize) -> Result<Option<String>> {
        let stage = self.stages[step];
        self.call(format!("{stage:?}"))?;
        if self.fails_at == Some(stage) {
            bail!("it fails");
        }
        Ok(None)
    }

    fn verify(&mut self) -> Result<()> {
        self.call("verify".to_owned())
    }

    fn applied(&mut self) -> Result<()> {
        self.call("applied".to_owned())
    }

    fn begin_rollback(&mut self) -> Result<Begun> {
        self.lost |= self.fails_at == Some(Stage::Main);
        self.call("begin_rollback".to_owned())?;
        Ok(Begun {
            plan: self.planned(),
            problem: None,
        })
    }

    fn undo(&mut self, step: usize, failed: Failed) -> Result<Undone> {
        let stage = self.stages[step];
        self.call(format!("undo {stage:?}, {failed:?}"))?;
        if self.keeps_running && stage == Stage::StopWorkers {
            return Ok(Undone::Failed {
                problem: "it does not stop".to_owned(),
                stop: true,
            });
        }
        Ok(Undone::Done(None))
    }

    fn end_rollback(&mut self, failed: bool) -> Result<()> {
        self.call(format!("end_rollback, failed: {failed}"))
    }
}

/// The calls of a run in which all hosts restart everything, and its error.
fn calls(fails_at: Option<Stage>) -> (Vec<String>, Option<String>) {
    calls_of(fails_at, false)
}

fn calls_of(fails_at: Option<Stage>, keeps_running: bool) -> (Vec<String>, Option<String>) {
    let calls = Calls::default();
    let jobs = |verb: Verb, unit: &str| Step::Jobs {
        verb,
        units: vec![unit.to_owned()],
        reasons: Vec::new(),
        rolling: None,
    };
    let plan = Plan {
        steps: vec![
            jobs(Verb::Stop, units::NGINX),
            jobs(Verb::Stop, units::MAIN),
            jobs(Verb::Start, units::MAIN),
            jobs(Verb::Start, units::NGINX),
        ],
        generation: Some(2),
    };
    let desired = State::default();
    let goal = Goal {
        desired: &desired,
        target: Target::Rendered,
        removal: Removal::Keep,
        moving: None,
        settings: None,
        settings_text: String::new(),
        summary: String::new(),
        expected: Expected {
            units: [units::MAIN.to_owned()].into(),
            ..Expected::default()
        },
    };
    let observed = Observed {
        applied: Some(1),
        ..Observed::default()
    };
    let main = State {
        units: [units::MAIN.to_owned()].into(),
        ..State::default()
    };
    let mut world = First {
        calls: calls.clone(),
        before: Some(main),
    };
    let mut others: Vec<Box<dyn Member>> = vec![Box::new(Other {
        calls: calls.clone(),
        stages: vec![Stage::StopWorkers, Stage::Main, Stage::Workers],
        fails_at,
        keeps_running,
        lost: false,
    })];
    let run = Run::new(&mut world, &goal, &plan, &observed);
    let ended = converge_all(run, &mut others, &Report::into(|_| ()));
    let calls = calls.lock().unwrap().clone();
    (calls, ended.err().map(|error| error.failure.to_string()))
}

#[test]
fn hosts_go_through_the_stages_together() {
    let (calls, error) = calls(None);
    assert_eq!(error, None);
    let place = |text: &str| calls.iter().position(|call| call.contains(text)).unwrap();
    let order = [
        "first: ! stop    synapse-nginx",
        "app2: StopWorkers",
        "first: ! stop    synapse-main",
        "first: ! start   synapse-main",
        "app2: Workers",
        "first: ! start   synapse-nginx",
        "app2: verify",
        "first: verify",
        "app2: applied",
        "first: applied",
    ];
    let places: Vec<usize> = order.iter().map(|text| place(text)).collect();
    assert!(places.is_sorted(), "{calls:#?}");
}

#[test]
fn a_host_that_fails_rolls_all_hosts_back() {
    let (calls, error) = calls(Some(Stage::StopWorkers));
    let error = error.unwrap();
    assert!(
        error.contains("app2: it fails") && error.contains("the hosts are as they were before"),
        "{error}"
    );
    let has = |text: &str| calls.iter().any(|call| call.contains(text));
    assert!(!has("stop    synapse-main"), "{calls:#?}");
    for text in [
        "first: begin_rollback",
        "app2: undo Workers, Failed { any: false, stop: false }",
        "first: ! start   synapse-main",
        "app2: end_rollback, failed: false",
    ] {
        assert!(has(text), "{text}: {calls:#?}");
    }
}

#[test]
fn nothing_starts_beside_a_process_of_another_host_that_does_not_stop() {
    let (calls, error) = calls_of(Some(Stage::StopWorkers), true);
    let error = error.unwrap();
    assert!(
        error.contains("The rollback is incomplete: app2: it does not stop"),
        "{error}"
    );
    let has = |text: &str| calls.iter().any(|call| call.contains(text));
    assert!(!has("start   synapse-main"), "{calls:#?}");
    // The other hosts learn that as well.
    for text in [
        "app2: undo StopWorkers, Failed { any: false, stop: false }",
        "app2: undo Workers, Failed { any: true, stop: true }",
        "app2: end_rollback, failed: true",
    ] {
        assert!(has(text), "{text}: {calls:#?}");
    }
}

/// The units that start in the rollback of a host that was left out, or was not.
fn starts_in_rollback(left_out: bool) -> Vec<String> {
    let calls = Calls::default();
    let plan = Plan {
        steps: vec![Step::Jobs {
            verb: Verb::Stop,
            units: vec![WORKER.to_owned()],
            reasons: Vec::new(),
            rolling: None,
        }],
        generation: Some(2),
    };
    let desired = State::default();
    let goal = Goal {
        desired: &desired,
        target: Target::Rendered,
        removal: Removal::Keep,
        moving: None,
        settings: None,
        settings_text: String::new(),
        summary: String::new(),
        expected: Expected::default(),
    };
    let mut observed = Observed {
        applied: Some(1),
        ..Observed::default()
    };
    if left_out {
        observed.was_left_out();
    }
    let mut world = First {
        calls: calls.clone(),
        before: Some(State {
            units: ["synapse-worker@app2_pusher1.service".to_owned()].into(),
            ..State::default()
        }),
    };
    let mut session = Session::new(Run::new(&mut world, &goal, &plan, &observed));
    session.answer(&Call::Apply(0)).unwrap();
    let begun = session.answer(&Call::BeginRollback).unwrap();
    let begun: Begun = serde_json::from_value(begun).unwrap();
    assert_eq!(begun.problem, None);
    let texts = begun.plan.into_iter().map(|step| step.text);
    texts.filter(|text| text.contains("start ")).collect()
}

#[test]
fn the_rollback_of_a_host_that_was_left_out_starts_none_of_its_processes() {
    let started = starts_in_rollback(false);
    assert!(
        started.len() == 1 && started[0].contains("app2_pusher1"),
        "{started:?}"
    );
    assert!(starts_in_rollback(true).is_empty());
}

#[test]
fn a_host_that_is_lost_is_named_and_the_others_are_rolled_back() {
    let (calls, error) = calls(Some(Stage::Main));
    let error = error.unwrap();
    assert!(
        error.contains("The rollback is incomplete: app2: ssh has ended"),
        "{error}"
    );
    assert!(error.contains("synapse-workers install"), "{error}");
    assert!(
        calls.iter().any(|call| call == "first: begin_rollback"),
        "{calls:#?}"
    );
}

/// The calls on another host whose connection is lost after the first step of a plan that stops a unit, or restarts it.
fn calls_after_a_loss(verb: Verb) -> Vec<String> {
    let calls = Calls::default();
    let plan = Plan {
        steps: vec![Step::Jobs {
            verb,
            units: vec![WORKER.to_owned()],
            reasons: Vec::new(),
            rolling: None,
        }],
        generation: Some(2),
    };
    let desired = State::default();
    let goal = Goal {
        desired: &desired,
        target: Target::Rendered,
        removal: Removal::Keep,
        moving: None,
        settings: None,
        settings_text: String::new(),
        summary: String::new(),
        expected: Expected::default(),
    };
    let observed = Observed::default();
    let mut world = First {
        calls: calls.clone(),
        before: None,
    };
    let mut session = Session::new(Run::new(&mut world, &goal, &plan, &observed));
    session.answer(&Call::Apply(0)).unwrap();
    session.end(&Report::into(|_| ())).unwrap();
    let calls = calls.lock().unwrap();
    calls[1..].to_vec()
}

#[test]
fn a_host_without_a_connection_runs_nothing_beside_hosts_that_it_does_not_know() {
    // All of Synapse stops, and nothing starts: the others may use other lists of stream writers.
    let stopped = calls_after_a_loss(Verb::Stop);
    assert_eq!(
        stopped,
        ["first: ! stop    synapse-worker@app2_typing1.service synapse-worker@app2_typing1.socket"]
    );
    // Without such a change, the host rolls itself back.
    let rolled_back = calls_after_a_loss(Verb::Restart);
    assert_eq!(rolled_back[0], "first: begin_rollback");
}
