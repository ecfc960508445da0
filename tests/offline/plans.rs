//! Planning as properties: for any two states, one plan leads from one to the other, and a second plan is empty. This
//! also holds after a run that was interrupted at any step.

use super::adoption;
use super::alerts::with_alerts;
use super::backups::with_backups;
use super::compressor::with_compressor;
use super::metrics::with_metrics;
use super::model::{End, Model, SHARED_LISTS};
use super::setup::{SPECS, Setup};
use super::turn::with_coturn;
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
pub fn transitions() -> Vec<(String, State, State)> {
    let transition =
        |what: &str, from: Setup, to: Setup| (what.to_owned(), digests(&from), digests(&to));
    let some = || Setup::new("event_persister, federation_sender, user_dir, synchrotron");
    vec![
        transition("first workers", Setup::new(""), some()),
        transition("no workers any more", some(), Setup::new("")),
        transition(
            "other writers and duties",
            some(),
            Setup::new(
                "event_persister:2, federation_sender:2, x=user_dir+pusher, media_repository",
            ),
        ),
        transition(
            "another Synapse",
            some(),
            some().settings("synapse: {version: 1.164.0}"),
        ),
        transition(
            "metrics",
            some(),
            with_metrics("event_persister, synchrotron"),
        ),
        transition("calls", some(), with_coturn("event_persister, synchrotron")),
        transition("the compressor", some(), with_compressor("synchrotron")),
        transition(
            "no compressor any more",
            with_compressor("synchrotron"),
            some(),
        ),
        transition("alerts", some(), with_alerts("synchrotron")),
        transition("no alerts any more", with_alerts("synchrotron"), some()),
        transition("backups", some(), with_backups("synchrotron")),
        transition("no backups any more", with_backups("synchrotron"), some()),
        transition("no calls any more", with_coturn("synchrotron"), some()),
        transition("no metrics any more", with_metrics("synchrotron"), some()),
        transition(
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
fn the_model_watches_lists_that_workers_have() {
    let state = digests(&Setup::new("full"));
    for path in SHARED_LISTS {
        assert!(state.files.contains_key(path), "{path}");
    }
}

#[test]
fn a_host_in_the_desired_state_has_an_empty_plan() {
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
fn one_plan_leads_from_any_state_to_any_other() {
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
    for (case, from, to) in transitions() {
        let mut model = Model::running(&from);
        model.run(&to, End::Done);
        model.assert_settled(&to, &case);
        model.towards(&from, Target::Generation(1), Removal::Keep, End::Done);
        model.assert_settled(&from, &format!("{case}, rolled back"));
    }
}

/// Resources that `uninstall` must retain: they contain data, give access to it or own it, and could not be created
/// again. All other resources of the states below are removed.
const RETAINED: &[&str] = &[
    "system group synapse",
    "system user synapse",
    "directory /etc/synapse-workers",
    "directory /etc/synapse-workers/homeserver.d",
    "directory /etc/synapse-workers/secrets",
    "directory /var/lib/synapse",
    "directory /var/lib/synapse/media_store",
    "directory /var/log/synapse",
    "secret backup_password",
    "secret form_secret",
    "secret macaroon_secret_key",
    "secret manhole_password",
    "secret postgres_password",
    "secret redis_password",
    "secret registration_shared_secret",
    "secret turn_shared_secret",
    "secret worker_replication_secret",
    "signing key /var/lib/synapse/signing.key",
    "PostgreSQL role synapse",
    "PostgreSQL database synapse, owned by synapse",
];

/// States that together have every kind of resource.
fn states_with_every_resource() -> Vec<(String, State)> {
    let more = [
        with_metrics("synchrotron"),
        with_metrics("synchrotron")
            .settings("database: {host: db.example}\nredis: {host: redis.example}")
            .secret("postgres_password")
            .secret("redis_password"),
        with_coturn("synchrotron"),
        with_compressor("synchrotron"),
        with_backups("synchrotron"),
        Setup::new("synchrotron").adopting(adoption::OLD),
        Setup::new("synchrotron").settings("synapse: {user: matrix}"),
        Setup::new("synchrotron").settings("log_to_disk: true\nmanhole: {main: true}"),
    ];
    let more = more
        .iter()
        .map(|setup| (format!("{setup:?}"), digests(setup)));
    states().into_iter().chain(more).collect()
}

#[test]
fn uninstall_retains_irreplaceable_resources_and_purge_removes_them() {
    let nothing = State::default();
    let mut seen = BTreeSet::new();
    for (case, state) in states_with_every_resource() {
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
        let mut retained: BTreeSet<Resource> = state.resources.clone();
        retained.retain(|resource| RETAINED.contains(&resource.to_string().as_str()));
        seen.extend(retained.iter().map(Resource::to_string));
        retained.extend(foreign);
        assert_eq!(model.resources, retained, "{case}: uninstall");
        let again = model.towards(&nothing, Target::Nothing, Removal::Keep, End::Done);
        assert!(again.is_empty(), "{case}: uninstall twice\n{again}");
        model.run(&state, End::Done);
        model.assert_settled(&state, &format!("{case}, installed again"));
    }
    let retained: BTreeSet<String> = RETAINED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(seen, retained);
}

#[test]
fn the_next_run_completes_a_run_interrupted_at_any_step() {
    for (case, from, to) in transitions() {
        let before = Model::running(&from);
        let plan = before.clone().run(&to, End::Done);
        for goal in [&to, &from] {
            for end in ends(&plan.steps) {
                let mut model = before.clone();
                model.run(&to, end);
                model.run(goal, End::Done);
                model.assert_settled(goal, &format!("{case}, cut {end:?}"));
                assert!(model.run(goal, End::Done).is_empty());
            }
        }
    }
}

#[test]
fn the_plan_marks_edited_files_but_not_those_of_an_interrupted_run() {
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

    let before = Model::running(&from);
    let plan = before.clone().run(&to, End::Done);
    for end in ends(&plan.steps) {
        let mut model = before.clone();
        model.run(&to, end);
        let plan = model.run(&from, End::Done);
        assert!(!plan.to_string().contains(note), "cut {end:?}\n{plan}");
    }
}

#[test]
fn a_rollback_removes_only_resources_that_the_run_created() {
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
fn the_next_run_reloads_systemd_after_an_interrupted_run() {
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
