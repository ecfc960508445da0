//! The PostgreSQL of the first host, opened to other hosts: its files, the steps, and the way back.

use super::model::{End, Model};
use super::sandbox::values;
use super::setup::{Setup, cluster, text};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::state::admission::Rule;
use synapse_workers::state::{Cluster, Resource, State};

const RULES: &str = "host/etc/postgresql/17/main/synapse-workers.hba";
const PARAMETERS: &str = "host/etc/postgresql/17/main/conf.d/synapse-workers.conf";
const HOSTS: &str = "hosts: {app2: {address: 10.0.0.2, workers: [synchrotron]}, app3: {address: 'fd00::3', workers: [typing]}}";

fn debian() -> Cluster {
    cluster("/etc/postgresql/17/main/postgresql.conf")
}

/// One host, whose database will be opened.
fn alone() -> Setup {
    let mut setup = Setup::new("event_persister").settings("address: 10.0.0.1");
    setup.facts.cluster = Some(debian());
    setup
}

fn opened(settings: &str) -> Setup {
    alone().settings(&format!("{HOSTS}\ndatabase: {{open: true{settings}}}"))
}

fn with_rule(method: &str) -> Setup {
    let mut setup = opened("");
    let all = || Some(vec!["all".to_owned()]);
    let cluster = setup.facts.cluster.as_mut().unwrap();
    cluster.admission.rules.push(Rule {
        kind: Some("host".to_owned()),
        database: all(),
        user_name: all(),
        address: Some("10.0.0.0".to_owned()),
        netmask: Some("255.0.0.0".to_owned()),
        auth_method: Some(method.to_owned()),
        ..Rule::default()
    });
    setup
}

fn lines<'a>(state: &'a State, path: &str) -> Vec<&'a str> {
    let lines = text(state, path).lines();
    lines.filter(|line| !line.starts_with('#')).collect()
}

fn has(state: &State, is: impl Fn(&Resource) -> bool) -> bool {
    state.resources.iter().any(is)
}

#[test]
fn postgresql_admits_our_role_from_the_other_hosts_alone() {
    let state = opened("").state();
    assert_eq!(
        lines(&state, RULES),
        [
            "hostssl \"synapse\" \"synapse\" 10.0.0.2/32 scram-sha-256",
            "hostssl \"synapse\" \"synapse\" fd00::3/128 scram-sha-256",
        ]
    );
    assert_eq!(
        lines(&state, PARAMETERS),
        ["listen_addresses = 'localhost, 10.0.0.1'"]
    );
    let plain = opened(", sslmode: disable").state();
    assert!(lines(&plain, RULES)[0].starts_with("host \"synapse\" "));
    // Both kinds of parameters are in one file.
    let tuned = opened(", tune: true").state();
    assert!(lines(&tuned, PARAMETERS).contains(&"listen_addresses = 'localhost, 10.0.0.1'"));
}

#[test]
fn without_other_hosts_or_consent_nothing_is_opened() {
    for setup in [
        alone(),
        alone().settings("database: {open: true}"),
        alone().settings(&format!("{HOSTS}\ndatabase: {{host: 10.0.0.9}}")),
    ] {
        let state = setup.state();
        assert!(!state.files.keys().any(|path| path.contains("postgresql/")));
        assert!(!has(&state, |it| it
            .to_string()
            .contains("password of the PostgreSQL role")
            || *it == Resource::Secret("own_postgres_password".to_owned())));
    }
}

#[test]
fn what_the_administrator_has_opened_is_left_alone() {
    let admitted = with_rule("scram-sha-256").state();
    assert_eq!(
        lines(&admitted, RULES),
        ["hostssl \"synapse\" \"synapse\" fd00::3/128 scram-sha-256"]
    );
    let mut setup = opened("");
    let admission = &mut setup.facts.cluster.as_mut().unwrap().admission;
    admission.configured = "*".to_owned();
    let state = setup.state();
    assert!(!state.files.contains_key(PARAMETERS));
    // It may not have restarted since.
    assert!(has(&state, |it| matches!(it, Resource::Listening { .. })));
}

#[test]
fn processes_of_other_hosts_log_in_over_tls_and_those_of_the_first_host_on_the_socket() {
    let setup = opened("");
    let options = |state: &State| -> serde_yaml::Value {
        let all: serde_yaml::Value =
            serde_yaml::from_str(text(state, "synapse/homeserver.yaml")).unwrap();
        all["database"]["args"].clone()
    };
    let first = options(&setup.state());
    assert_eq!(first["host"].as_str(), Some("/run/postgresql"));
    assert!(first.get("passfile").is_none() && first.get("sslmode").is_none());
    let state = setup.state_on("app2");
    let other = options(&state);
    assert_eq!(other["host"].as_str(), Some("10.0.0.1"));
    assert_eq!(other["sslmode"].as_str(), Some("require"));
    assert_eq!(
        other["passfile"].as_str(),
        Some("/etc/synapse-workers/secrets/pgpass")
    );
    assert_eq!(
        text(&state, "secrets/pgpass").trim(),
        "10.0.0.1:5432:synapse:synapse:@own_postgres_password@"
    );
    assert!(!setup.state().files.contains_key("secrets/pgpass"));
    assert!(!has(&state, |it| matches!(
        it,
        Resource::RolePassword(_) | Resource::DatabaseRole(_) | Resource::Listening { .. }
    )));
    // A worker that sends nothing to the internet reaches PostgreSQL as one of the hosts.
    let file = "synapse-worker@app2_synchrotron1.service.d/50-network.conf";
    assert!(values(&state, file, "IPAddressAllow").contains(&"10.0.0.1"));
}

fn place(plan: &Plan, text: &str) -> usize {
    let found = plan
        .steps
        .iter()
        .position(|step| step.to_string().contains(text));
    found.unwrap_or_else(|| panic!("no {text}\n{plan}"))
}

#[test]
fn postgresql_is_opened_before_a_process_starts_and_closed_after_all_have_left() {
    let (before, after) = (alone().state(), opened("").state());
    let mut model = Model::running(&before);
    let plan = model.run(&after, End::Done);
    let order = [
        "create  secret own_postgres_password",
        "create  password of the PostgreSQL role synapse",
        "write   /etc/postgresql/17/main/synapse-workers.hba",
        "! restart postgresql@17-main.service",
        "because PostgreSQL listens on 10.0.0.1 only after a restart",
        "! start   synapse-main.service",
    ];
    let places = order.map(|text| place(&plan, text));
    assert!(places.is_sorted(), "{places:?}\n{plan}");
    assert!(
        !plan.to_string().contains("! reload  postgresql@"),
        "{plan}"
    );
    assert_eq!(model.run(&after, End::Done).changes(), 0);

    let plan = model.run(&before, End::Done);
    let order = [
        "remove  /etc/postgresql/17/main/synapse-workers.hba",
        "! reload  postgresql@17-main.service",
        "leave   10.0.0.1 at the next start of PostgreSQL: systemctl restart postgresql@17-main.service",
        "remove  line in /etc/postgresql/17/main/pg_hba.conf",
        "remove  password of the PostgreSQL role synapse",
    ];
    let places = order.map(|text| place(&plan, text));
    assert!(places.is_sorted(), "{places:?}\n{plan}");
    assert!(
        !plan.to_string().contains("! restart postgresql@"),
        "{plan}"
    );
}

#[test]
fn another_host_is_admitted_by_a_reload() {
    let after = alone().settings(
        "hosts: {app2: {address: 10.0.0.2, workers: [synchrotron]}, app3: {address: 10.0.0.3, workers: [typing]}}\n\
         database: {open: true}",
    );
    let plan = Model::running(&opened("").state()).run(&after.state(), End::Done);
    assert!(plan.to_string().contains(
        "! reload  postgresql@17-main.service\n          because /etc/postgresql/17/main/synapse-workers.hba changed"
    ));
    assert!(
        !plan.to_string().contains("! restart postgresql@"),
        "{plan}"
    );
}

#[test]
fn a_file_that_was_written_and_not_read_is_read_by_the_next_run() {
    let state = opened("").state();
    let mut observed = Model::running(&state).observe(&state);
    assert!(Plan::between(&state, &observed, Target::Rendered, Removal::Keep).is_empty());
    let unit = "postgresql@17-main.service".to_owned();
    observed.outdated.insert(RULES.to_owned(), [unit].into());
    let plan = Plan::between(&state, &observed, Target::Rendered, Removal::Keep);
    assert_eq!(plan.steps.len(), 1, "{plan}");
    assert!(
        plan.to_string()
            .contains("! reload  postgresql@17-main.service")
    );
}

#[test]
fn a_file_that_was_edited_is_written_and_read_again() {
    let state = opened("").state();
    let mut observed = Model::running(&state).observe(&state);
    observed.host_files.insert(RULES.to_owned(), String::new());
    let plan = Plan::between(&state, &observed, Target::Rendered, Removal::Keep);
    let places = [
        "synapse-workers.hba (modified outside",
        "! reload  postgresql@",
    ];
    assert!(places.map(|text| place(&plan, text)).is_sorted(), "{plan}");
}

#[test]
fn uninstall_closes_it() {
    let mut model = Model::running(&opened("").state());
    let plan = model.towards(&State::default(), Target::Nothing, Removal::Keep, End::Done);
    for text in [
        "remove  /etc/postgresql/17/main/synapse-workers.hba",
        "! reload  postgresql@17-main.service",
        "leave   10.0.0.1",
        "remove  password of the PostgreSQL role synapse",
    ] {
        place(&plan, text);
    }
    assert!(
        !plan
            .to_string()
            .contains("role synapse\n- remove  PostgreSQL role")
    );
}
