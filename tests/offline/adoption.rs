//! Adopting an existing server: which of its values and files the rendered state keeps, and when its service stops and
//! starts again.

use super::model::{Attempt, Direction, End, Fault, FaultKind, Model};
use super::setup::{Setup, text};
use std::collections::BTreeSet;
use synapse_workers::plan::step::{Move, Step, Verb};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::units;
use synapse_workers::state::{Resource, State};

/// The configuration of an existing server.
pub const OLD: &str = "\
server_name: example.test
signing_key_path: /etc/old/signing.key
media_store_path: /srv/old/media
registration_shared_secret: old secret
max_upload_size: 7M
caches: {global_factor: 3}
listeners: [{port: 8008, type: http, resources: [{names: [client]}]}]
database: {name: psycopg2, args: {user: old, password: hidden, dbname: old, host: 127.0.0.1}}
";

fn setup(workers: &str) -> Setup {
    Setup::new(workers)
        .settings("media_store_path: /srv/old/media")
        .settings("database: {kind: external, host: 127.0.0.1, user: old, name: old}")
        .settings("synapse: {user: old}")
        .adopting(OLD)
        .secret("postgres_password")
}

fn keys(state: &State) -> BTreeSet<String> {
    let options: serde_yaml::Mapping =
        serde_yaml::from_str(text(state, "synapse/homeserver.yaml")).unwrap();
    let keys = options.keys().map(|key| key.as_str().unwrap().to_owned());
    keys.collect()
}

#[test]
fn rendered_options_omit_values_of_the_adopted_files() {
    let state = setup("small").state();
    assert_eq!(text(&state, "synapse/adopted/00-homeserver.yaml"), OLD);
    assert!(state.files["synapse/adopted/00-homeserver.yaml"].private);
    let plain = Setup::new("small").state();
    let (adopted_keys, plain_keys) = (keys(&state), keys(&plain));
    for theirs in [
        "database",
        "signing_key_path",
        "caches",
        "registration_shared_secret_path",
        "macaroon_secret_key_path",
        "form_secret_path",
    ] {
        assert!(!adopted_keys.contains(theirs), "{theirs}");
        assert!(plain_keys.contains(theirs), "{theirs}");
    }
    for ours in [
        "server_name",
        "media_store_path",
        "max_upload_size",
        "trusted_key_servers",
    ] {
        assert!(adopted_keys.contains(ours), "{ours}");
    }
    let made = |resource: &Resource| {
        matches!(
            resource,
            Resource::SigningKey | Resource::DatabaseRole(_) | Resource::Database { .. }
        ) || *resource == Resource::Directory("/srv/old/media".to_owned())
            || *resource == Resource::Secret("form_secret".to_owned())
    };
    assert!(!state.resources.iter().any(made), "{:?}", state.resources);
    // A server that is not adopted has the signing key, role, database and secret.
    assert_eq!(plain.resources.iter().filter(|it| made(it)).count(), 4);
    // The password is only in the copy, which is private, and in the secrets.
    for (path, file) in &state.files {
        let found = String::from_utf8_lossy(&file.contents).contains("hidden");
        assert_eq!(
            found,
            path == "synapse/adopted/00-homeserver.yaml",
            "{path}"
        );
    }
}

#[test]
fn additional_keys_of_the_client_file_join_those_of_the_adopted_files() {
    let old = format!(
        "{OLD}extra_well_known_client_content: {{a: {{b: yes}}, c: 1}}\nmatrix_rtc: {{transports: []}}\n\
         rc_message: {{per_second: 9}}\n"
    );
    let setup = |lines: &str| {
        let setup = Setup::new("small").settings("public_baseurl: https://m.a/");
        setup.settings(lines).adopting(&old).state()
    };
    let options = |state: &State| -> serde_json::Value {
        serde_yaml::from_str(text(state, "synapse/homeserver.yaml")).unwrap()
    };
    let (plain, more) = (setup(""), setup("well_known: {client: {c: 2, d: 3}}"));
    assert!(!keys(&plain).contains("extra_well_known_client_content"));
    let client = &options(&more)["extra_well_known_client_content"];
    assert_eq!(
        *client,
        serde_json::json!({"a": {"b": "yes"}, "c": 2, "d": 3})
    );
    assert!(!keys(&more).contains("matrix_rtc"));
    // A transport replaces those of the adopted file, whose rate limit stays.
    let calls = setup("rtc: {livekit_service_url: https://r.a/}");
    let transport = serde_json::json!([{"type": "livekit", "livekit_service_url": "https://r.a/"}]);
    let made = options(&calls);
    let client = &made["extra_well_known_client_content"];
    assert_eq!(client["org.matrix.msc4143.rtc_foci"], transport);
    assert_eq!(client["c"], 1);
    assert_eq!(made["matrix_rtc"]["transports"], transport);
    assert!(made.get("rc_message").is_none());
    assert_eq!(made["rc_delayed_event_mgmt"]["burst_count"], 20);
}

#[test]
fn adopted_files_are_read_first_and_their_directories_are_writable() {
    let sqlite = OLD.replace(
        "{name: psycopg2, args: {user: old, password: hidden, dbname: old, host: 127.0.0.1}}",
        "{name: sqlite3, args: {database: /srv/old db/homeserver.db}}",
    );
    let state = Setup::new("")
        .settings("database: {kind: sqlite}")
        .adopting(&sqlite)
        .state();
    let unit = text(&state, "host/etc/systemd/system/synapse-main.service");
    let files: Vec<&str> = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap()
        .split(" -c ")
        .skip(1)
        .collect();
    assert!(files[0].ends_with("/synapse/adopted"), "{files:?}");
    assert!(files[1].ends_with("/synapse/homeserver.yaml"), "{files:?}");
    assert!(
        unit.contains("\"/srv/old db\"") || unit.contains("/srv/old\\x20db"),
        "{unit}"
    );
    assert!(!keys(&state).contains("database"));
    // After the data has moved to PostgreSQL, our own configuration names the database.
    let moved = Setup::new("")
        .settings("database: {kind: local}")
        .adopting(&sqlite)
        .state();
    assert!(keys(&moved).contains("database"));
    let tmpfiles = text(&state, "host/etc/tmpfiles.d/synapse-workers.conf");
    assert!(!tmpfiles.contains("media"), "{tmpfiles}");
}

fn place(steps: &[Step], of: impl Fn(&Step) -> bool) -> usize {
    steps
        .iter()
        .position(of)
        .unwrap_or_else(|| panic!("{steps:?}"))
}

#[test]
fn the_adopted_service_stops_just_before_main_starts_and_uninstall_restores_it() {
    let state = setup("small").state();
    let stopped = Resource::Stopped("old.service".to_owned());
    let disabled = Resource::Disabled("old.service".to_owned());
    let mut model = Model::default();
    let plan = model.run(&state, End::Done);
    let stop = place(&plan.steps, |step| *step == Step::Create(stopped.clone()));
    let switch = place(&plan.steps, |step| matches!(step, Step::Switch { .. }));
    let start = place(
        &plan.steps,
        |step| matches!(step, Step::Jobs { verb: Verb::Start, units, .. } if units[..] == [units::MAIN]),
    );
    assert!(switch < stop && stop < start, "{plan}");
    assert!(plan.to_string().contains("! stop    old.service"), "{plan}");
    assert!(model.run(&state, End::Done).is_empty());

    let nothing = State::default();
    let back = model.towards(&nothing, Target::Nothing, Removal::Keep, End::Done);
    let stop = place(
        &back.steps,
        |step| matches!(step, Step::Jobs { verb: Verb::Stop, units, .. } if units.contains(&units::MAIN.to_owned())),
    );
    let start = place(&back.steps, |step| *step == Step::Remove(stopped.clone()));
    assert!(stop < start, "{back}");
    assert!(
        back.steps.contains(&Step::Remove(disabled.clone())),
        "{back}"
    );
    assert!(back.to_string().contains("! start   old.service"), "{back}");
}

#[test]
fn a_service_disabled_before_adoption_stays_disabled() {
    let state = setup("").state();
    let disabled = Resource::Disabled("old.service".to_owned());
    let mut model = Model::default();
    model.resources.insert(disabled.clone());
    let plan = model.run(&state, End::Done);
    assert!(
        !plan.steps.contains(&Step::Create(disabled.clone())),
        "{plan}"
    );
    let back = model.towards(
        &State::default(),
        Target::Nothing,
        Removal::Purge,
        End::Done,
    );
    assert!(!back.steps.contains(&Step::Remove(disabled)), "{back}");
    let stopped = Resource::Stopped("old.service".to_owned());
    assert!(back.steps.contains(&Step::Remove(stopped)), "{back}");
}

#[test]
fn a_failed_run_restores_the_adopted_service() {
    let state = setup("small").state();
    let stopped = Resource::Stopped("old.service".to_owned());
    let steps = Model::default().run(&state, End::Done).steps;
    let stop = place(&steps, |step| *step == Step::Create(stopped.clone()));
    for cut in stop + 1..=steps.len() {
        let mut model = Model::default();
        let back = model.fails(&state, End::Before(cut)).back;
        assert!(
            back.contains(&Step::Remove(stopped.clone())),
            "{cut}: {back:?}"
        );
        assert!(!model.resources.contains(&stopped), "{cut}");
    }
}

/// The old service starts again once our processes have stopped, even if other rollback steps failed. It never runs
/// beside one of our processes.
#[test]
fn a_rollback_with_errors_restores_the_adopted_service_unless_synapse_still_runs() {
    let state = setup("small").state();
    let stopped = Resource::Stopped("old.service".to_owned());
    let steps = Model::default().run(&state, End::Done).steps;
    let fails = Fault(
        Direction::Forward,
        End::Before(steps.len()),
        FaultKind::Failed,
    );
    let attempt = |faults: &[Fault]| {
        let mut model = Model::default();
        let ended = model.attempt(&Attempt {
            faults,
            ..Attempt::install(&state)
        });
        (ended, !model.resources.contains(&stopped))
    };
    let (ended, _) = attempt(&[fails]);
    let main = units::MAIN.to_owned();
    let stop = place(
        &ended.back,
        |step| matches!(step, Step::Jobs { verb: Verb::Stop, units, .. } if units.contains(&main)),
    );
    let back = place(&ended.back, |step| *step == Step::Remove(stopped.clone()));
    assert!(stop < back, "{:?}", ended.back);
    for (number, step) in ended.back.iter().take(back).enumerate() {
        let fault = Fault(Direction::Back, End::Before(number), FaultKind::Failed);
        let (ended, served) = attempt(&[fails, fault]);
        assert_eq!(ended.failure().0, 70, "{step}");
        let runs_on = matches!(step, Step::Jobs { .. }) && step.is_of_synapse();
        assert_eq!(served, !runs_on, "{step}");
    }
}

/// The positions of the steps of a database move in a plan, including the stop and the start of main.
fn order(plan: &Plan) -> Vec<usize> {
    let steps = &plan.steps;
    let part = |wanted| {
        place(
            steps,
            |step| matches!(step, Step::MoveDatabase { part, .. } if *part == wanted),
        )
    };
    let main = |wanted, all: &[&str]| {
        place(
            steps,
            |step| matches!(step, Step::Jobs { verb, units, .. } if *verb == wanted && units[..] == *all),
        )
    };
    let switch = place(steps, |step| matches!(step, Step::Switch { .. }));
    let made = place(steps, |step| {
        matches!(step, Step::Create(Resource::Database { .. }))
    });
    vec![
        made,
        part(Move::First),
        switch,
        // The socket stops too, so that no request starts main again while rows are copied.
        main(Verb::Stop, &[units::MAIN, units::MAIN_SOCKET]),
        part(Move::Last),
        part(Move::Compare),
        main(Verb::Start, &[units::MAIN]),
    ]
}

#[test]
fn the_database_moves_while_main_is_stopped_and_a_failure_keeps_sqlite_in_use() {
    let before = Setup::new("").state();
    let after = Setup::new("").settings("database: {kind: local}").state();
    let moved = |model: &mut Model, end| {
        model.attempt(&Attempt {
            moving: Some("/var/lib/synapse/homeserver.db"),
            faults: &[Fault(Direction::Forward, end, FaultKind::Failed)],
            ..Attempt::install(&after)
        })
    };
    let plan = moved(&mut Model::running(&before), End::Done).plan;
    assert!(order(&plan).is_sorted(), "{plan}");
    let copied = place(&plan.steps, |step| {
        matches!(step, Step::MoveDatabase { .. })
    });
    for cut in copied..=plan.steps.len() {
        let mut model = Model::running(&before);
        moved(&mut model, End::Before(cut));
        let database = |resource: &Resource| matches!(resource, Resource::Database { .. });
        assert!(!model.resources.iter().any(database), "{cut}");
        model.assert_settled(&before, &format!("cut before step {cut}"));
    }
}
