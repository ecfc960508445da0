//! The rollback of a failed run as properties: the program's own code on hosts in memory. Whatever fails at any point,
//! the host returns to its state before the run, or the error names the command that repairs it.

use super::model::{Attempt, Direction, End, Fault, FaultKind, Model, Outcome};
use super::plans::{digests, ends, transitions};
use super::setup::Setup;
use std::collections::BTreeSet;
use synapse_workers::plan::step::{Step, Verb};
use synapse_workers::plan::{Removal, Target};
use synapse_workers::state::units;
use synapse_workers::state::{Resource, State};

const AS_BEFORE: &str = "the host is as it was before";
const REPAIR: &str = "Correct this, then run: synapse-workers install";

fn fails(end: End) -> Fault {
    Fault(Direction::Forward, end, FaultKind::Failed)
}

fn rollback_fails(end: End) -> Fault {
    Fault(Direction::Back, end, FaultKind::Failed)
}

/// The rollback steps that are attempted when none of them fails.
fn rollback_steps(from: &Model, to: &State, end: End) -> Vec<Step> {
    from.clone().fails(to, end).back
}

/// Checks every transition on all cores, because this takes thousands of runs.
fn for_every_transition(work: impl Fn(&str, &State, &State) + Sync) {
    std::thread::scope(|scope| {
        for (case, from, to) in transitions() {
            let work = &work;
            scope.spawn(move || work(&case, &from, &to));
        }
    });
}

/// The part of the error after the cause. Asserts that the cause was printed before the rollback too.
fn after_cause<'a>(ended: &Outcome, text: &'a str) -> &'a str {
    let (cause, left) = text.split_once('\n').unwrap_or_else(|| panic!("{text}"));
    let shown = format!("error: {cause}\nRolling back.\n");
    assert!(ended.printed.contains(&shown), "{}", ended.printed);
    left
}

#[test]
fn a_failed_first_run_is_rolled_back_and_an_interrupted_one_completed() {
    let state = digests(&Setup::new("small"));
    let plan = Model::default().run(&state, End::Done);
    for end in ends(&plan.steps) {
        let mut back = Model::default();
        back.fails(&state, end);
        back.assert_settled(&State::default(), &format!("failed {end:?}"));
        assert_eq!(back.resources, BTreeSet::new(), "failed {end:?}");
        let mut model = Model::default();
        model.run(&state, end);
        model.run(&state, End::Done);
        model.assert_settled(&state, &format!("completed, cut {end:?}"));
    }
}

#[test]
fn a_run_that_fails_at_any_step_restores_the_state_before() {
    for (case, from, to) in transitions() {
        let mut before = Model::running(&from);
        before.settings = "as before".to_owned();
        // Directories of the administrator, one of which `to` may need as well.
        let foreign = ["/srv/other", "/var/lib/synapse/media_store"];
        let foreign = foreign.map(|path| Resource::Directory(path.to_owned()));
        before.resources.extend(foreign);
        before
            .made
            .remove(&Resource::Account("synapse-redis".to_owned()));
        let attempt = Attempt {
            settings: Some("changed"),
            ..Attempt::install(&to)
        };
        let mut done = before.clone();
        let plan = done.attempt(&attempt).plan;
        assert_eq!(done.settings, "changed");
        for end in ends(&plan.steps).into_iter().chain([End::Verification]) {
            let case = format!("{case}, failed {end:?}");
            let mut model = before.clone();
            let ended = model.attempt(&Attempt {
                faults: &[fails(end)],
                ..attempt.clone()
            });
            model.assert_settled(&from, &case);
            assert_eq!(model.resources, before.resources, "{case}");
            assert_eq!(model.made, before.made, "{case}");
            assert_eq!(model.settings, before.settings, "{case}");
            assert!(model.run(&from, End::Done).is_empty(), "{case}");

            let (code, text) = ended.failure();
            let expected = if end == End::Verification { 75 } else { 1 };
            assert_eq!(code, expected, "{case}");
            assert!(text.starts_with("a fault Forward"), "{case}: {text}");
            assert_eq!(after_cause(&ended, &text), AS_BEFORE, "{case}");
        }
    }
}

#[test]
fn a_rollback_that_is_killed_is_repaired_by_the_next_run() {
    for_every_transition(|case, from, to| {
        let before = Model::running(from);
        let plan = before.clone().run(to, End::Done);
        for end in ends(&plan.steps) {
            let seconds = ends(&rollback_steps(&before, to, end));
            for (second, goal) in seconds.into_iter().zip([from, to].into_iter().cycle()) {
                let mut killed = before.clone();
                let ended = killed.attempt(&Attempt {
                    faults: &[
                        fails(end),
                        Fault(Direction::Back, second, FaultKind::Killed),
                    ],
                    ..Attempt::install(to)
                });
                assert!(ended.result.is_none(), "{case}, {end:?}, {second:?}");
                killed.run(goal, End::Done);
                killed.assert_settled(goal, &format!("{case}, failed {end:?}, killed {second:?}"));
            }
        }
    });
}

/// Whether a failed step prevents this job, which would use the files of another generation or run beside a process
/// that did not stop.
fn skips(failed: Option<&Step>, step: &Step) -> bool {
    let (synapse, verb) = match step {
        Step::Jobs { verb, .. } => (step.is_of_synapse(), *verb),
        _ => return false,
    };
    match failed {
        Some(Step::Switch { .. }) => synapse || verb != Verb::Start,
        Some(Step::Jobs {
            verb: Verb::Stop | Verb::Restart,
            ..
        }) => failed.is_some_and(Step::is_of_synapse) && synapse && verb != Verb::Stop,
        _ => false,
    }
}

/// A process that does not start must not keep nginx stopped. Resources that a process may still use are not removed.
#[test]
fn a_failed_rollback_step_prevents_only_removals_and_unsafe_jobs() {
    for_every_transition(|case, from, to| {
        let before = Model::running(from);
        let plan = before.clone().run(to, End::Done);
        for end in ends(&plan.steps) {
            let steps = rollback_steps(&before, to, end);
            for (second, goal) in ends(&steps).into_iter().zip([from, to].into_iter().cycle()) {
                let (End::Before(number) | End::Within(number)) = second else {
                    panic!("{second:?}");
                };
                let case = format!("{case}, failed {end:?}, and {second:?} of the way back");
                let mut model = before.clone();
                let ended = model.attempt(&Attempt {
                    faults: &[fails(end), rollback_fails(second)],
                    ..Attempt::install(to)
                });
                let tried = steps.iter().enumerate();
                let skipped = |step: &Step| step.removes() || skips(steps.get(number), step);
                let tried = tried.filter(|(place, step)| *place <= number || !skipped(step));
                let tried: Vec<&Step> = tried.map(|(_, step)| step).collect();
                assert_eq!(ended.back.iter().collect::<Vec<_>>(), tried, "{case}");
                let (code, text) = ended.failure();
                assert_eq!(code, 70, "{case}");
                let incomplete =
                    format!("The rollback is incomplete: a fault Back at {second:?}\n{REPAIR}");
                assert_eq!(after_cause(&ended, &text), incomplete, "{case}");
                model.run(goal, End::Done);
                model.assert_settled(goal, &case);
            }
        }
    });
}

/// The states before and after adding an event persister, and the number of the step at which main starts again.
fn adding_an_event_persister() -> (State, State, usize) {
    let state = |spec| digests(&Setup::new(spec));
    let (from, to) = (state("event_persister"), state("event_persister:2"));
    let plan = Model::running(&from).run(&to, End::Done);
    let main = |step: &Step| matches!(step, Step::Jobs { units, .. } if units[..] == [units::MAIN]);
    let place = plan.steps.iter().rposition(main);
    (from, to, place.unwrap())
}

#[test]
fn nginx_starts_again_even_if_a_worker_does_not_start() {
    let (from, to, main) = adding_an_event_persister();
    let mut model = Model::running(&from);
    let back = rollback_steps(&model, &to, End::Within(main));
    let workers = |step: &Step| matches!(step, Step::Jobs { units, .. } if units[..] == ["synapse-worker@event_persister1.service"]);
    let started = back.iter().rposition(workers).unwrap();
    let ended = model.attempt(&Attempt {
        faults: &[
            fails(End::Within(main)),
            rollback_fails(End::Before(started)),
        ],
        ..Attempt::install(&to)
    });
    assert_eq!(ended.failure().0, 70);
    assert!(model.units[units::NGINX].active);
    assert!(!model.units["synapse-worker@event_persister1.service"].active);
}

#[test]
fn a_rollback_attempts_every_part_and_names_each_error() {
    let (from, to, main) = adding_an_event_persister();
    let secret = from
        .resources
        .iter()
        .find(|resource| matches!(resource, Resource::Secret(_)));
    let secret = secret.unwrap();
    let mut before = Model::running(&from);
    before.settings = "as before".to_owned();
    before.stale.insert(secret.clone());
    let attempt = Attempt {
        settings: Some("changed"),
        ..Attempt::install(&to)
    };
    let main = End::Before(main + 2);
    let ending = |faults: &[Fault]| {
        let mut model = before.clone();
        let ended = model.attempt(&Attempt {
            faults,
            ..attempt.clone()
        });
        (model, ended)
    };

    let (model, ended) = ending(&[fails(main)]);
    assert_eq!(ended.failure().0, 1);
    assert!(model.stale.contains(secret) && model.resources.contains(secret));
    model.assert_settled(&from, "a replaced secret");

    let parts = ["restore", "restore_settings"].map(|part| rollback_fails(End::Call(part)));
    let (model, ended) = ending(&[&[fails(main)], &parts[..]].concat());
    let (code, text) = ended.failure();
    assert_eq!(code, 70);
    let errors = "The rollback is incomplete: a fault Back at Call(\"restore\")\n\
                  and: a fault Back at Call(\"restore_settings\")";
    assert_eq!(after_cause(&ended, &text), format!("{errors}\n{REPAIR}"));
    assert_eq!(model.settings, "changed");
    // The processes run again despite the errors, and nothing was removed.
    assert!(from.units.iter().all(|unit| model.units[unit].active));
    assert!(!ended.back.iter().any(Step::removes), "{:?}", ended.back);
    assert!(!ended.back.is_empty());

    let mut model = before.clone();
    model.lose(1);
    let ended = model.attempt(&Attempt {
        faults: &[fails(main)],
        ..attempt.clone()
    });
    let (code, text) = ended.failure();
    assert_eq!(code, 70);
    let lost = format!("The rollback is incomplete: generation 1 is lost\n{REPAIR}");
    assert_eq!(after_cause(&ended, &text), lost);
    // Settings and secrets do not depend on the lost generation.
    assert_eq!(model.settings, "as before");
    assert!(model.stale.contains(secret));
    model.run(&to, End::Done);
    model.assert_settled(&to, "installed again");
}

#[test]
fn a_run_that_cannot_record_its_end_asks_for_another_install() {
    let (from, to, _) = adding_an_event_persister();
    let mut model = Model::running(&from);
    let ended = model.fails(&to, End::Call("applied"));
    let (code, text) = ended.failure();
    assert_eq!(code, 70);
    assert!(text.ends_with("help: synapse-workers install"), "{text}");
    assert_eq!(ended.back, []);
    model.run(&to, End::Done);
    model.assert_settled(&to, "recorded by the next run");
}

#[test]
fn a_failed_uninstall_is_not_rolled_back_and_names_the_command_to_repeat() {
    let state = digests(&Setup::new("small"));
    let nothing = State::default();
    let mut installed = Model::default();
    installed.run(&state, End::Done);
    for (removal, command) in [
        (Removal::Keep, "synapse-workers uninstall"),
        (Removal::Purge, "synapse-workers uninstall --purge"),
    ] {
        let attempt = Attempt {
            target: Target::Nothing,
            removal,
            ..Attempt::install(&nothing)
        };
        let plan = installed.clone().attempt(&attempt).plan;
        for end in ends(&plan.steps) {
            let mut model = installed.clone();
            let ended = model.attempt(&Attempt {
                faults: &[fails(end)],
                ..attempt.clone()
            });
            let (code, text) = ended.failure();
            assert_eq!((code, ended.back), (70, Vec::new()), "{end:?}");
            let last = format!("The removal is incomplete. To remove the rest, run: {command}");
            assert_eq!(text.lines().last(), Some(&last[..]), "{end:?}");
            assert!(!ended.printed.contains("Rolling back"), "{end:?}");
            model.attempt(&attempt);
            model.assert_settled(&nothing, &format!("{command}, failed {end:?}"));
        }
    }
}
