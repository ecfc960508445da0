//! Planning as properties: for any two states, one plan leads from one to the other, and a second plan is empty. This
//! also holds after a run that was interrupted at any step.

use super::compressor::compressed;
use super::metrics::measured;
use super::model::{End, Model};
use super::setup::{SPECS, Setup};
use super::turn::calling;
use std::collections::BTreeSet;
use synapse_workers::plan::step::Step;
use synapse_workers::plan::{Plan, Removal, Target, foreign};
use synapse_workers::state::paths;
use synapse_workers::state::{Observed, Resource, State};

/// A state without the contents of files. Plans do not read them, and these tests copy states often.
pub fn digests(setup: &Setup) -> State {
    let mut state = setup.state();
    state
        .files
        .values_mut()
        .for_each(|file| file.contents.clear());
    state
}

fn states() -> Vec<(String, State)> {
    let of = |spec: &&str| (format!("{spec:?}"), digests(&Setup::new(spec)));
    SPECS.iter().map(of).collect()
}

/// Pairs of states that are far apart, so that the plans between them are long and varied.
pub fn ways() -> Vec<(String, State, State)> {
    let way = |what: &str, from: Setup, to: Setup| (what.to_owned(), digests(&from), digests(&to));
    let some = || Setup::new("event_persister, federation_sender, user_dir, synchrotron");
    vec![
        way("first workers", Setup::new(""), some()),
        way("no workers any more", some(), Setup::new("")),
        way(
            "other writers and duties",
            some(),
            Setup::new(
                "event_persister:2, federation_sender:2, x=user_dir+pusher, media_repository",
            ),
        ),
        way(
            "another Synapse",
            some(),
            some().settings("synapse: {version: 1.164.0}"),
        ),
        way("metrics", some(), measured("event_persister, synchrotron")),
        way("calls", some(), calling("event_persister, synchrotron")),
        way("the compressor", some(), compressed("synchrotron")),
        way("no compressor any more", compressed("synchrotron"), some()),
        way("no calls any more", calling("synchrotron"), some()),
        way("no metrics any more", measured("synchrotron"), some()),
        way(
            "options, logs and units",
            some(),
            some()
                .own("own.yaml", "enable_metrics: true\n")
                .settings("log_level: DEBUG\nlimits: {worker_memory: 1G}\nhttp_port: 8009"),
        ),
    ]
}

/// Every point at which these steps can be interrupted: before each one, within each job, and at the end.
pub fn ends(steps: &[Step]) -> Vec<End> {
    let mut ends = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        ends.push(End::Before(number));
        if matches!(step, Step::Jobs { .. }) {
            ends.push(End::Within(number));
        }
    }
    ends.push(End::Before(steps.len()));
    ends
}

#[test]
fn nothing_is_planned_where_all_is_as_desired() {
    for (case, state) in states() {
        let observed = Model::running(&state).observe(&state);
        for target in [Target::Rendered, Target::Generation(1)] {
            let plan = Plan::between(&state, &observed, target, Removal::Keep);
            assert!(plan.is_empty(), "{case}:\n{plan}");
            assert_eq!((plan.changes(), plan.generation), (0, Some(1)));
        }
    }
}

#[test]
fn a_plan_leads_from_any_state_to_any_other_at_once() {
    let states = states();
    for (to_name, to) in &states {
        let mut model = Model::default();
        let first = model.run(to, End::Done);
        model.assert_settled(to, to_name);
        assert!(model.run(to, End::Done).is_empty(), "{to_name} twice");
        assert!(first.changes() > 0);
        for (from_name, from) in &states {
            let case = format!("{from_name} to {to_name}");
            let mut model = Model::running(from);
            model.run(to, End::Done);
            model.assert_settled(to, &case);
            let again = model.run(to, End::Done);
            assert!(again.is_empty(), "{case}, then\n{again}");
        }
    }
    for (case, from, to) in ways() {
        let mut model = Model::running(&from);
        model.run(&to, End::Done);
        model.assert_settled(&to, &case);
        model.towards(&from, Target::Generation(1), Removal::Keep, End::Done);
        model.assert_settled(&from, &format!("{case}, rolled back"));
    }
}

#[test]
fn uninstall_leaves_what_could_not_be_made_again_and_purge_nothing() {
    let nothing = State::default();
    for (case, state) in states() {
        let mut model = Model::default();
        // One directory of the administrator, and two that existed before the first run: the name of one of these shows
        // that it is ours.
        let foreign = ["/srv/other", paths::DATA].map(|path| Resource::Directory(path.to_owned()));
        let early = Resource::Directory(paths::STATE.to_owned());
        model
            .resources
            .extend(foreign.iter().cloned().chain([early]));
        model.run(&state, End::Done);

        let mut purged = model.clone();
        purged.towards(&nothing, Target::Nothing, Removal::Purge, End::Done);
        purged.assert_settled(&nothing, &case);
        assert_eq!(purged.resources, foreign.clone().into(), "{case}: purge");
        assert!(purged.made.is_empty(), "{case}: {:?}", purged.made);

        model.towards(&nothing, Target::Nothing, Removal::Keep, End::Done);
        model.assert_settled(&nothing, &case);
        let mut kept: BTreeSet<Resource> = state.resources.clone();
        kept.retain(Resource::is_retained);
        kept.extend(foreign);
        assert_eq!(model.resources, kept, "{case}: uninstall");
        for precious in [
            Resource::SigningKey,
            Resource::Account("synapse".to_owned()),
        ] {
            assert!(kept.contains(&precious), "{case}: {precious}");
        }
        let again = model.towards(&nothing, Target::Nothing, Removal::Keep, End::Done);
        assert!(again.is_empty(), "{case}: uninstall twice\n{again}");
        model.run(&state, End::Done);
        model.assert_settled(&state, &format!("{case}, installed again"));
    }
}

#[test]
fn the_next_run_completes_one_that_was_cut_anywhere() {
    for (case, from, to) in ways() {
        for goal in [&to, &from] {
            let plan = Model::running(&from).run(&to, End::Done);
            for end in ends(&plan.steps) {
                let mut model = Model::running(&from);
                model.run(&to, end);
                model.run(goal, End::Done);
                model.assert_settled(goal, &format!("{case}, cut {end:?}"));
                assert!(model.run(goal, End::Done).is_empty());
            }
        }
    }
}

#[test]
fn a_file_that_somebody_edited_is_told_and_one_that_a_cut_run_left_is_not() {
    let from = Setup::new("synchrotron");
    let to = from.clone().settings("limits: {worker_memory: 1G}");
    let (from, to) = (from.state(), to.state());
    let note = "(modified outside synapse-workers)";
    let path = "host/etc/systemd/system/synapse-worker@.service";

    let mut observed = Model::running(&from).observe(&from);
    observed
        .host_files
        .insert(path.to_owned(), "edited".to_owned());
    let between = |observed| Plan::between(&from, observed, Target::Rendered, Removal::Keep);
    assert!(foreign(&from, &observed).is_empty());
    assert!(between(&observed).to_string().contains(note));
    observed.baselines.clear();
    let place = "/etc/systemd/system/synapse-worker@.service";
    assert_eq!(foreign(&from, &observed), [place]);

    let plan = Model::running(&from).run(&to, End::Done);
    for end in ends(&plan.steps) {
        let mut model = Model::running(&from);
        model.run(&to, end);
        let plan = model.run(&from, End::Done);
        assert!(!plan.to_string().contains(note), "cut {end:?}\n{plan}");
    }
}

#[test]
fn undo_removes_only_what_the_run_made() {
    let made = Resource::Secret("form_secret".to_owned());
    let earlier = Resource::SigningKey;
    let observed = Observed {
        resources: [
            made.clone(),
            earlier.clone(),
            Resource::Account("synapse".to_owned()),
        ]
        .into(),
        created: [made.clone()].into(),
        ..Observed::default()
    };
    let printed =
        |removal| Plan::between(&State::default(), &observed, Target::Nothing, removal).to_string();
    assert_eq!(printed(Removal::Undo), "- remove  secret form_secret\n");
    assert_eq!(printed(Removal::Keep), "");
}

#[test]
fn a_reload_of_systemd_that_a_cut_run_left_out_is_made_up_for() {
    let state = Setup::new("synchrotron").state();
    let mut observed = Model::running(&state).observe(&state);
    let steps = |observed: &Observed| {
        Plan::between(&state, observed, Target::Rendered, Removal::Keep).steps
    };
    assert_eq!(steps(&observed), []);
    let worker = "synapse-worker@synchrotron1.service";
    observed.units.get_mut(worker).unwrap().stale = true;
    assert_eq!(steps(&observed), [Step::ReloadManager]);
}
