//! Which change restarts which units, and in which order (docs/workers.md and config_documentation.md of Synapse
//! 1.163.2).

use super::adoption;
use super::backups::with_backups;
use super::compressor::with_compressor;
use super::metrics::with_metrics;
use super::model::{End, Model};
use super::setup::{SPECS, Setup};
use super::turn::with_coturn;
use synapse_workers::plan::step::Step;
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::Resource;
use synapse_workers::state::paths;
use synapse_workers::state::restart_rules::rule_for;

/// The jobs of a plan without reasons, such as `stop pusher1; restart main`.
pub fn jobs(plan: &Plan) -> String {
    let short = |unit: &String| {
        let name = unit
            .trim_end_matches(".service")
            .trim_start_matches("synapse-");
        name.trim_start_matches("worker@").to_owned()
    };
    let job = |step: &Step| match step {
        Step::Jobs { verb, units, .. } => {
            // Sockets stop and start with their services.
            let services = units.iter().filter(|unit| !unit.ends_with(".socket"));
            let units: Vec<String> = services.map(short).collect();
            Some(format!("{} {}", verb.word(), units.join(" ")))
        }
        Step::Hold => Some("hold".to_owned()),
        _ => None,
    };
    let jobs: Vec<String> = plan.steps.iter().filter_map(job).collect();
    jobs.join("; ")
}

fn plan(from: &Setup, to: &Setup) -> Plan {
    Model::running(&from.state()).run(&to.state(), End::Done)
}

pub fn assert_jobs(from: &Setup, to: &Setup, expected: &str, case: &str) {
    let plan = plan(from, to);
    assert_eq!(jobs(&plan), expected, "{case}\n{plan}");
}

/// Setups that together render every file.
fn everything() -> impl Iterator<Item = Setup> {
    let specs = SPECS.iter().map(|spec| Setup::new(spec));
    specs.chain([
        with_metrics("synchrotron"),
        Setup::new("synchrotron")
            .settings("database: {kind: external, host: 127.0.0.1}")
            .adopting(adoption::OLD),
        with_coturn("synchrotron"),
        with_compressor("synchrotron"),
        with_backups("synchrotron"),
        Setup::new("synchrotron, typing, pusher, media_repository").settings("warm: {mode: fork}"),
        Setup::new("").own("own.yaml", "enable_metrics: true\n"),
        Setup::new("").settings("tls: {certificate: /etc/a.pem, key: /etc/a.key}"),
        Setup::new("")
            .settings("database: {host: db.example}")
            .secret("postgres_password"),
        Setup::new("synchrotron")
            .settings("log_to_disk: true")
            .app_service("/srv/irc.yaml", "id: irc\n"),
        Setup::new("synchrotron").log_config("version: 1\n"),
        Setup::new("federation_sender").settings("sandbox: {network: senders}"),
        with_metrics("synchrotron")
            .settings("database: {host: db.example}\nredis: {host: redis.example}")
            .secret("postgres_password")
            .secret("redis_password"),
    ])
}

/// `cases/complete.rs` tests the other direction: every rule has a case.
#[test]
fn every_rendered_file_has_a_restart_rule_and_affects_only_units_of_its_state() {
    for setup in everything() {
        let state = setup.state();
        for (path, file) in &state.files {
            assert!(!rule_for(path).path.is_empty(), "{path} has no rule");
            let foreign: Vec<_> = file.affects.difference(&state.units).collect();
            assert!(foreign.is_empty(), "{path} affects {foreign:?}");
        }
    }
}

#[test]
fn adding_or_removing_a_stateless_worker_restarts_nothing() {
    for role in [
        "synchrotron",
        "sliding_sync",
        "client_reader",
        "event_creator",
        "federation_reader",
        "federation_inbound",
        "frontend_proxy",
        "sso_login",
        "mas_helper",
    ] {
        // Without the Matrix Authentication Service, its helper has no routes.
        let mas = match role {
            "mas_helper" => "mas: {endpoint: \"http://127.0.0.1:8090/\"}",
            _ => "",
        };
        let without = Setup::new("typing").settings(mas);
        let with = Setup::new(&format!("typing, {role}")).settings(mas);
        assert_jobs(
            &without,
            &with,
            &format!("start {role}1; reload nginx"),
            role,
        );
        // nginx reloads first, so it no longer sends requests to the worker when the worker stops.
        assert_jobs(
            &with,
            &without,
            &format!("reload nginx; stop {role}1"),
            role,
        );
    }
    let (two, three) = (Setup::new("synchrotron:2"), Setup::new("synchrotron:3"));
    assert_jobs(&two, &three, "start synchrotron3; reload nginx", "scale");
    // From the second process on, nginx asks for the users of tokens.
    let [one, two] = ["synchrotron:1", "synchrotron:2"]
        .map(|spec| Setup::new(spec).settings("mas: {endpoint: 'http://127.0.0.1:8090/'}"));
    assert_jobs(&one, &two, "start synchrotron2; reload nginx", "MAS");
}

#[test]
fn workers_restart_when_their_shared_list_changes() {
    for (case, from, to, expected) in [
        (
            "event persister added: all stop, main is ready, all start",
            "event_persister, synchrotron",
            "event_persister:2, synchrotron",
            "hold; stop nginx; stop event_persister1 synchrotron1; stop main; start main; start event_persister1 event_persister2 synchrotron1; start nginx",
        ),
        (
            "event persister removed",
            "event_persister:2, synchrotron",
            "event_persister, synchrotron",
            "hold; stop nginx; stop event_persister1 event_persister2 synchrotron1; stop main; start main; start event_persister1 synchrotron1; start nginx",
        ),
        (
            "stream writer moved",
            "a=typing+client_reader, b=synchrotron",
            "a=client_reader, b=typing+synchrotron",
            "hold; stop nginx; stop a1 b1; stop main; start main; start a1 b1; start nginx",
        ),
        (
            "federation sender added: the senders only",
            "federation_sender, synchrotron",
            "federation_sender:2, synchrotron",
            "hold; stop nginx; stop federation_sender1; start federation_sender1 federation_sender2; start nginx",
        ),
        (
            "federation sender removed",
            "federation_sender:2, synchrotron",
            "federation_sender, synchrotron",
            "hold; stop nginx; stop federation_sender1 federation_sender2; start federation_sender1; start nginx",
        ),
        (
            "first federation sender: main stops sending",
            "synchrotron",
            "federation_sender, synchrotron",
            "restart main; start federation_sender1",
        ),
        (
            "last federation sender: main sends again",
            "federation_sender, synchrotron",
            "synchrotron",
            "hold; stop nginx; stop federation_sender1; stop main; start main; start nginx",
        ),
        (
            "pusher added",
            "pusher, synchrotron",
            "pusher:2, synchrotron",
            "hold; stop nginx; stop pusher1; stop main; start main; start pusher1 pusher2; start nginx",
        ),
        (
            "user directory moved from one worker to another",
            "a=user_dir+client_reader, b=synchrotron, c=pusher",
            "a=client_reader, b=user_dir+synchrotron, c=pusher",
            "hold; stop nginx; stop a1 b1; stop main; start main; start a1 b1; start nginx",
        ),
        (
            "application services moved",
            "a=appservice+client_reader, b=synchrotron, c=pusher",
            "a=client_reader, b=appservice+synchrotron, c=pusher",
            "hold; stop nginx; stop a1 b1; stop main; start main; start a1 b1; start nginx",
        ),
        (
            "background tasks moved away from main",
            "synchrotron",
            "background_worker, synchrotron",
            "restart main; start background_worker1",
        ),
        (
            "background tasks moved back: the old one stops first",
            "background_worker, synchrotron",
            "synchrotron",
            "hold; stop nginx; stop background_worker1; stop main; start main; start nginx",
        ),
        (
            "media repository moved away from main; it writes a stream",
            "synchrotron",
            "media_repository, synchrotron",
            "hold; stop nginx; stop synchrotron1; stop main; start main; start media_repository1 synchrotron1; start nginx",
        ),
        (
            "first workers",
            "",
            "synchrotron",
            "hold; stop nginx; stop main; start redis; start main; start synchrotron1; start nginx",
        ),
        (
            "last workers",
            "synchrotron",
            "",
            "hold; stop nginx; stop synchrotron1; stop main; start main; start nginx; stop redis",
        ),
    ] {
        assert_jobs(&Setup::new(from), &Setup::new(to), expected, case);
    }
}

#[test]
fn a_changed_option_restarts_the_units_that_read_it() {
    let base = || Setup::new("synchrotron, pusher").settings("database: {kind: local}");
    let all = "restart main; restart pusher1 synchrotron1";
    for (case, to, expected) in [
        (
            "log level",
            base().settings("log_level: DEBUG"),
            "reload main; reload pusher1 synchrotron1",
        ),
        (
            "a bridge",
            base().app_service("/srv/irc.yaml", "id: irc\n"),
            all,
        ),
        ("log files", base().settings("log_to_disk: true"), all),
        (
            "own options",
            base().own("a.yaml", "presence: {enabled: false}\n"),
            all,
        ),
        ("caches", base().settings("caches: {global_factor: 2}"), all),
        (
            "memory of workers",
            base().settings("limits: {worker_memory: 1G}"),
            "restart pusher1 synchrotron1",
        ),
        (
            "memory of main",
            base().settings("limits: {main_memory: 1G}"),
            "restart main",
        ),
        ("tasks", base().settings("limits: {tasks: 1000}"), all),
        (
            "port of nginx",
            base().settings("http_port: 8009"),
            "stop nginx; start nginx",
        ),
        (
            "addresses of nginx, which hold the port that the new one wants",
            base().settings("bind_addresses: [127.0.0.1]"),
            "stop nginx; start nginx",
        ),
        (
            "a certificate",
            base().settings("tls: {certificate: /etc/a.pem, key: /etc/a.key}"),
            "stop nginx; start nginx; start certificate.path",
        ),
        (
            "timeout of nginx",
            base().settings("nginx: {proxy_read_timeout: 90s}"),
            "reload nginx",
        ),
        (
            "what both read",
            base().settings("max_upload_size: 60M"),
            &format!("{all}; reload nginx"),
        ),
        (
            "release of Synapse",
            base().settings("synapse: {version: 1.164.0}"),
            "hold; stop nginx; stop pusher1 synchrotron1; stop main; start main; start pusher1 synchrotron1; start nginx",
        ),
        ("nothing", base(), ""),
    ] {
        assert_jobs(&base(), &to, expected, case);
    }
    let on_disk = |level: &str| base().settings(&format!("log_to_disk: true\nlog_level: {level}"));
    let reloads = "reload main; reload pusher1 synchrotron1";
    assert_jobs(&on_disk("INFO"), &on_disk("ERROR"), reloads, "log files");
    let (own, other) = (
        base().log_config("version: 1\nroot: {level: INFO}\n"),
        base().log_config("version: 1\nroot: {level: ERROR}\n"),
    );
    for (from, to) in [(&own, &other), (&base(), &own), (&own, &base())] {
        assert_jobs(from, to, all, "a log configuration of the administrator's");
    }
    let mut valkey = base();
    valkey.facts.redis = "valkey-server".to_owned();
    assert_jobs(&base(), &valkey, "restart redis", "another Redis");
}

/// A secret that is replaced differs from the existing one, so the plan treats it as missing.
#[test]
fn a_replaced_secret_restarts_the_units_that_read_it() {
    let lines = "database: {host: db.example}\nredis: {host: redis.example}\nemail: {enabled: true, smtp_user: me}";
    let provided = ["postgres_password", "redis_password", "smtp_password"];
    let setup = Setup::new("pusher, synchrotron").settings(lines);
    let state = provided.into_iter().fold(setup, Setup::secret).state();
    let (restarts, stops) = (
        "restart main; restart pusher1 synchrotron1",
        "hold; stop nginx; stop pusher1 synchrotron1; stop main; start main; start pusher1 synchrotron1; start nginx",
    );
    let secret = |name: &str| Resource::Secret(name.to_owned());
    let composed = |name: &str| Resource::Composed(name.to_owned());
    for (changed, expected) in [
        (vec![secret("form_secret")], restarts),
        (
            vec![secret("postgres_password"), composed("pgpass")],
            restarts,
        ),
        (
            vec![secret("smtp_password"), composed("synapse.d/email.yaml")],
            restarts,
        ),
        (vec![secret("redis_password")], restarts),
        (vec![secret("worker_replication_secret")], stops),
    ] {
        let mut model = Model::running(&state);
        for resource in &changed {
            assert!(model.resources.remove(resource), "{resource} is asked for");
        }
        let plan = model.run(&state, End::Done);
        assert_eq!(jobs(&plan), expected, "{changed:?}\n{plan}");
        assert!(
            model.run(&state, End::Done).is_empty(),
            "{changed:?} is done"
        );

        // An interrupted run wrote the secrets before its jobs: the age of the files shows that the processes are
        // stale.
        let mut observed = Model::running(&state).observe(&state);
        let files = changed.iter().filter_map(Resource::secret_path);
        observed.outdated = files.map(|file| (file, state.units.clone())).collect();
        let plan = Plan::between(&state, &observed, Target::Rendered, Removal::Keep);
        assert_eq!(jobs(&plan), expected, "{changed:?}\n{plan}");
    }
}

/// Synapse reads every file in the directory. A leftover file would keep a mail server in use that is switched off.
#[test]
fn options_with_a_secret_are_removed_before_processes_start() {
    let base = || Setup::new("pusher").secret("smtp_password");
    let mail = base().settings("email: {enabled: true, smtp_user: me}");
    for plan in [
        plan(&mail, &base()),
        Plan::between(
            &base().state(),
            &Model::running(&mail.state()).observe(&base().state()),
            Target::Rendered,
            Removal::Undo,
        ),
    ] {
        let file = Resource::Composed("synapse.d/email.yaml".to_owned());
        let gone = plan
            .steps
            .iter()
            .position(|step| *step == Step::Remove(file.clone()));
        let jobs = plan
            .steps
            .iter()
            .position(|step| matches!(step, Step::Jobs { .. }));
        assert!(gone.is_some() && gone < jobs, "{plan}");
        assert!(
            plan.to_string().contains("restart synapse-main.service"),
            "{plan}"
        );
    }
}

#[test]
fn a_stopped_unit_is_started_and_nothing_else_changes() {
    let state = Setup::new("synchrotron:2").state();
    let mut model = Model::running(&state);
    model.crash("synapse-worker@synchrotron2.service");
    let plan = model.run(&state, End::Done);
    assert_eq!(
        plan.to_string(),
        "! start   synapse-worker@synchrotron2.service\n          because not running\n"
    );
}

#[test]
fn a_file_of_another_release_restarts_the_units_that_it_affected() {
    let state = Setup::new("pusher, synchrotron").state();
    let mut old = state.clone();
    let file = old.files["synapse/workers/pusher1.yaml"].clone();
    old.files
        .insert("synapse/of-old/pusher1.yaml".to_owned(), file);
    let plan = Model::running(&old).run(&state, End::Done);
    assert_eq!(
        jobs(&plan),
        "hold; stop nginx; stop pusher1; start pusher1; start nginx",
        "{plan}"
    );
}

/// The next run completes the jobs of an interrupted run, although the files are in place already.
#[test]
fn the_next_run_completes_the_restarts_of_an_interrupted_run() {
    let (from, to) = (
        Setup::new("event_persister"),
        Setup::new("event_persister:2"),
    );
    let (from, to) = (from.state(), to.state());
    let plan = Model::running(&from).run(&to, End::Done);
    let first_job = plan
        .steps
        .iter()
        .position(|step| matches!(step, Step::Jobs { .. }));
    let expected = "hold; stop nginx; stop event_persister1; stop main; start main; start event_persister1 event_persister2; start nginx";
    assert_eq!(jobs(&plan), expected);
    let mut model = Model::running(&from);
    model.run(&to, End::Before(first_job.unwrap()));
    assert_eq!(jobs(&model.clone().run(&to, End::Done)), expected);
    // The same holds if the settings were reverted meanwhile, because some processes may have restarted already.
    let back = "hold; stop nginx; stop event_persister1; stop main; start main; start event_persister1; start nginx";
    assert_eq!(jobs(&model.run(&from, End::Done)), back);
}

#[test]
fn a_plan_prints_each_step_with_its_reason() {
    let plan = plan(
        &Setup::new("federation_sender, synchrotron"),
        &Setup::new("federation_sender:2, synchrotron"),
    );
    let expected = "\
+ write   generation 2
          ~ synapse/shared.d/federation_sender_instances.yaml
          + synapse/workers/federation_sender2.yaml
  check   generation 2 with Synapse's own configuration parser
~ switch  to generation 2
+ enable  synapse-worker@federation_sender2.service
~ reload  unit files (systemctl daemon-reload)
! hold    new connections at nginx's sockets until the other units are up
! stop    synapse-nginx.service
! stop    synapse-worker@federation_sender1.service
          synapse-worker@federation_sender1.socket
          because synapse/shared.d/federation_sender_instances.yaml changed: \
destinations are redistributed among the federation senders
! start   synapse-worker@federation_sender1.service
          synapse-worker@federation_sender2.service
          because synapse/shared.d/federation_sender_instances.yaml changed: \
destinations are redistributed among the federation senders
! start   synapse-nginx.service
";
    assert_eq!(plan.to_string(), expected);
    // Steps that only check something are not counted as changes.
    assert_eq!(plan.changes(), 8);
}

/// Files outside of generations that changed after the processes started: Synapse's package touches one.
#[test]
fn only_processes_older_than_the_code_restart_and_in_order() {
    let state = Setup::new("event_persister, synchrotron").state();
    let plan = |began_before: &[&str]| {
        let mut observed = Model::running(&state).observe(&state);
        let units = began_before.iter().map(|unit| (*unit).to_owned());
        observed
            .outdated
            .insert(paths::UPGRADED.to_owned(), units.collect());
        Plan::between(&state, &observed, Target::Rendered, Removal::Keep)
    };
    let (main, persister) = (
        "synapse-main.service",
        "synapse-worker@event_persister1.service",
    );
    let all = [
        main,
        persister,
        "synapse-worker@synchrotron1.service",
        "synapse-nginx.service",
        "synapse-redis.service",
    ];
    let upgraded = plan(&all);
    assert_eq!(
        jobs(&upgraded),
        "hold; stop nginx; stop event_persister1 synchrotron1; stop main; start main; start event_persister1 synchrotron1; start nginx",
        "{upgraded}"
    );
    assert!(
        upgraded
            .to_string()
            .contains("/var/lib/synapse-workers/upgraded changed: the processes run older code"),
        "{upgraded}"
    );
    // No files are written, because the state is the desired one already.
    assert_eq!(upgraded.steps.len(), 7, "{upgraded}");
    // Units that were restarted meanwhile are not restarted again.
    let rest = plan(&[persister, "synapse-nginx.service"]);
    assert_eq!(
        jobs(&rest),
        "hold; stop nginx; stop event_persister1; start event_persister1; start nginx"
    );
    assert_eq!(jobs(&plan(&["synapse-redis.service"])), "");
}
