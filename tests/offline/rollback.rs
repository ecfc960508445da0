//! The rollback of a failed run as properties: the program's own code on hosts in memory. Whatever fails at any point,
//! the host returns to its state before the run, or the error names the command that repairs it.

use super::model::{Attempt, End, Ended, Fault, How, Model, Way};
use super::plans::{digests, ends, ways};
use super::setup::Setup;
use std::collections::BTreeSet;
use synapse_workers::plan::step::{Step, Verb};
use synapse_workers::plan::{Removal, Target};
use synapse_workers::state::units;
use synapse_workers::state::{Resource, State};

const AS_BEFORE: &str = "the host is as it was before";
const REPAIR: &str = "Correct this, then run: synapse-workers install";

fn fails(end: End) -> Fault {
    Fault(Way::There, end, How::Failed)
}

fn fails_back(end: End) -> Fault {
    Fault(Way::Back, end, How::Failed)
}

/// The rollback steps that are attempted when none of them fails.
fn way_back(from: &Model, to: &State, end: End) -> Vec<Step> {
    from.clone().fails(to, end).back
}

/// Checks every transition on all cores, because this takes thousands of runs.
fn for_every_way(work: impl Fn(&str, &State, &State) + Sync) {
    std::thread::scope(|scope| {
        for (case, from, to) in ways() {
            let work = &work;
            scope.spawn(move || work(&case, &from, &to));
        }
    });
}

/// The part of the error after the cause. Asserts that the cause was printed before the rollback too.
fn left<'a>(ended: &Ended, text: &'a str) -> &'a str {
    let (cause, left) = text.split_once('\n').unwrap_or_else(|| panic!("{text}"));
    let shown = format!("error: {cause}\nRolling back.\n");
    assert!(ended.printed.contains(&shown), "{}", ended.printed);
    left
}

#[test]
fn a_first_run_that_failed_or_was_cut_is_taken_back_or_completed() {
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
fn a_run_that_fails_anywhere_returns_to_the_state_before_and_touches_nothing_else() {
    for (case, from, to) in ways() {
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
            settings: Some("anew"),
            ..Attempt::install(&to)
        };
        let mut done = before.clone();
        let plan = done.attempt(&attempt).plan;
        assert_eq!(done.settings, "anew");
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
            assert!(text.starts_with("a fault There"), "{case}: {text}");
            assert_eq!(left(&ended, &text), AS_BEFORE, "{case}");
        }
    }
}

#[test]
fn a_rollback_that_is_killed_is_repaired_by_the_next_run() {
    for_every_way(|case, from, to| {
        let plan = Model::running(from).run(to, End::Done);
        for end in ends(&plan.steps) {
            let seconds = ends(&way_back(&Model::running(from), to, end));
            for (second, goal) in seconds.into_iter().zip([from, to].into_iter().cycle()) {
                let mut killed = Model::running(from);
                let ended = killed.attempt(&Attempt {
                    faults: &[fails(end), Fault(Way::Back, second, How::Killed)],
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
fn a_rollback_step_that_fails_stops_no_other_but_removals() {
    for_every_way(|case, from, to| {
        let plan = Model::running(from).run(to, End::Done);
        for end in ends(&plan.steps) {
            let steps = way_back(&Model::running(from), to, end);
            for (second, goal) in ends(&steps).into_iter().zip([from, to].into_iter().cycle()) {
                let (End::Before(number) | End::Within(number)) = second else {
                    panic!("{second:?}");
                };
                let case = format!("{case}, failed {end:?}, and {second:?} of the way back");
                let mut model = Model::running(from);
                let ended = model.attempt(&Attempt {
                    faults: &[fails(end), fails_back(second)],
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
                assert_eq!(left(&ended, &text), incomplete, "{case}");
                model.run(goal, End::Done);
                model.assert_settled(goal, &case);
            }
        }
    });
}

/// The states before and after adding an event persister, and the number of the step at which main starts again.
fn adding() -> (State, State, usize) {
    let state = |spec| digests(&Setup::new(spec));
    let (from, to) = (state("event_persister"), state("event_persister:2"));
    let plan = Model::running(&from).run(&to, End::Done);
    let main = |step: &Step| matches!(step, Step::Jobs { units, .. } if units[..] == [units::MAIN]);
    let place = plan.steps.iter().rposition(main);
    (from, to, place.unwrap())
}

#[test]
fn nginx_serves_again_though_a_worker_does_not_start() {
    let (from, to, main) = adding();
    let mut model = Model::running(&from);
    let back = way_back(&model, &to, End::Within(main));
    let workers = |step: &Step| matches!(step, Step::Jobs { units, .. } if units[..] == ["synapse-worker@event_persister1.service"]);
    let started = back.iter().rposition(workers).unwrap();
    let ended = model.attempt(&Attempt {
        faults: &[fails(End::Within(main)), fails_back(End::Before(started))],
        ..Attempt::install(&to)
    });
    assert_eq!(ended.failure().0, 70);
    assert!(model.units[units::NGINX].active);
    assert!(!model.units["synapse-worker@event_persister1.service"].active);
}

#[test]
fn every_part_of_a_rollback_is_tried_and_each_error_is_named() {
    let (from, to, main) = adding();
    let secret = from
        .resources
        .iter()
        .find(|resource| matches!(resource, Resource::Secret(_)));
    let secret = secret.unwrap();
    let mut before = Model::running(&from);
    before.settings = "as before".to_owned();
    before.stale.insert(secret.clone());
    let attempt = Attempt {
        settings: Some("anew"),
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
    model.assert_settled(&from, "a secret that was given anew");

    let parts = ["restore", "restore_settings"].map(|part| fails_back(End::Call(part)));
    let (model, ended) = ending(&[&[fails(main)], &parts[..]].concat());
    let (code, text) = ended.failure();
    assert_eq!(code, 70);
    let errors = "The rollback is incomplete: a fault Back at Call(\"restore\")\n\
                  and: a fault Back at Call(\"restore_settings\")";
    assert_eq!(left(&ended, &text), format!("{errors}\n{REPAIR}"));
    assert_eq!(model.settings, "anew");
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
    assert_eq!(left(&ended, &text), lost);
    // Settings and secrets do not depend on the lost generation.
    assert_eq!(model.settings, "as before");
    assert!(model.stale.contains(secret));
    model.run(&to, End::Done);
    model.assert_settled(&to, "installed again");
}

#[test]
fn a_run_whose_end_cannot_be_recorded_names_the_next_one() {
    let (from, to, _) = adding();
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
fn an_uninstall_that_fails_is_not_rolled_back_and_names_the_command_that_goes_on() {
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
