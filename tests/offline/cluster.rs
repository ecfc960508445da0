//! Several hosts: what each host gets, how their processes reach each other, and that one host stays as it is.

use super::model::Model;
use super::sandbox::{UNITS, values};
use super::setup::{SPECS, Setup, text};
use serde_yaml::Value;
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::plan::step::{Step, Verb};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::render::Input;
use synapse_workers::render::ports::bound;
use synapse_workers::state::restart_rules::LEFT_OUT;
use synapse_workers::state::{Observed, Resource, State, units};

/// A server with a database that every host can reach, and these other hosts in YAML.
pub fn with_hosts(workers: &str, hosts: &str) -> Setup {
    Setup::new(workers).settings(&format!(
        "address: 10.0.0.1\ndatabase: {{host: 10.0.0.9}}\nhosts: {{{hosts}}}"
    ))
}

pub fn cluster() -> Setup {
    with_hosts(
        "event_persister, synchrotron, client_reader",
        "app2: {address: 10.0.0.2, workers: [synchrotron:2, typing, federation_sender]}, \
         app3: {address: 10.0.0.3, workers: [client_reader, pusher]}",
    )
}

fn yaml(state: &State, path: &str) -> Value {
    serde_yaml::from_str(text(state, path)).unwrap()
}

fn names_of_secrets(state: &State) -> BTreeSet<&str> {
    let resources = state.resources.iter();
    let names = resources.filter_map(|it| match it {
        Resource::Secret(name) | Resource::Composed(name) => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

/// Where a process serves replication: its listeners, and the ports that systemd opens beside the Unix socket of one.
fn replication(state: &State, process: &str) -> BTreeSet<String> {
    let (path, key) = match process {
        "main" => ("synapse/main.yaml".to_owned(), "listeners"),
        worker => (format!("synapse/workers/{worker}.yaml"), "worker_listeners"),
    };
    let options = yaml(state, &path);
    let listeners = options[key].as_sequence().unwrap().iter();
    let own = listeners.filter(|it| it["resources"][0]["names"][0].as_str() == Some("replication"));
    let own: Vec<String> = own
        .map(|it| match it["path"].as_str() {
            Some(path) => path.to_owned(),
            None => {
                let address = it["bind_addresses"][0].as_str().unwrap();
                format!("{address}:{}", it["port"].as_u64().unwrap())
            }
        })
        .collect();
    // Synapse registers its caches twice with a second listener.
    assert_eq!(own.len(), 1, "{process}: {own:?}");
    let opened = opened(state, process);
    // A worker opens its Unix sockets by a pattern.
    let pattern = own[0].replace(&format!("/{process}.sock"), "/%i.sock");
    assert!(
        opened.contains(&own[0]) || opened.contains(&pattern),
        "{process}: {opened:?}"
    );
    let internal = |place: &String| {
        place
            .rsplit_once(':')
            .is_some_and(|(_, port)| ("26000".."29000").contains(&port))
    };
    own.into_iter()
        .chain(opened.into_iter().filter(internal))
        .collect()
}

/// The sockets that systemd opens for a process.
fn opened(state: &State, process: &str) -> BTreeSet<String> {
    let socket = units::socket_of(&units::process(process)).unwrap();
    let files = [
        units::file_of(&socket).to_owned(),
        format!("{socket}.d/50-address.conf"),
    ];
    let files = files
        .iter()
        .filter(|file| state.files.contains_key(&format!("{UNITS}{file}")));
    files
        .flat_map(|file| values(state, file, "ListenStream"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_process_finds_every_other_at_an_endpoint_that_it_listens_on() {
    let setup = cluster();
    let states = [
        setup.state(),
        setup.state_on("app2"),
        setup.state_on("app3"),
    ];
    let homes = [("main", 0), ("event_persister1", 0), ("app2_typing1", 1)];
    for (seer, state) in states.iter().enumerate() {
        let map = &yaml(state, "synapse/shared.d/instance_map.yaml")["instance_map"];
        let known: BTreeSet<_> = map
            .as_mapping()
            .unwrap()
            .keys()
            .map(|key| key.as_str().unwrap())
            .collect();
        assert_eq!(known, homes.map(|(name, _)| name).into());
        for (name, home) in homes {
            let place = match map[name]["path"].as_str() {
                Some(path) => path.to_owned(),
                None => format!(
                    "{}:{}",
                    map[name]["host"].as_str().unwrap(),
                    map[name]["port"].as_u64().unwrap()
                ),
            };
            // A Unix socket leads to a process of the same host only.
            assert_eq!(
                place.starts_with('/'),
                (seer, home) == (0, 0),
                "{name} from {seer}: {place}"
            );
            assert!(
                replication(&states[home], name).contains(&place),
                "{name} from {seer}: {place}"
            );
        }
        for file in [
            "stream_writers",
            "federation_sender_instances",
            "pusher_instances",
        ] {
            let path = format!("synapse/shared.d/{file}.yaml");
            assert_eq!(
                text(state, &path),
                text(&states[0], &path),
                "{file} differs between hosts"
            );
        }
    }
    // A worker to which no process sends requests opens no port for them.
    let of_reader = opened(&states[1], "app2_synchrotron2");
    assert_eq!(of_reader, ["10.0.0.2:24601".to_owned()].into());
}

/// The contents of all files but the one that names the hosts that are left out.
fn contents(mut state: State) -> BTreeMap<String, String> {
    state.files.remove(LEFT_OUT);
    let files = state.files.into_iter();
    let files = files.map(|(path, file)| (path, String::from_utf8(file.contents).unwrap()));
    files.collect()
}

#[test]
fn a_host_that_is_left_out_has_no_part_in_the_server() {
    let workers = "event_persister, synchrotron, client_reader";
    let app3 = "app3: {address: 10.0.0.3, workers: [client_reader, pusher]}";
    let without = cluster().without(&["app2".to_owned()]);
    let removed = with_hosts(workers, app3);
    for (left, same) in [
        (without.state(), removed.state()),
        (without.state_on("app3"), removed.state_on("app3")),
    ] {
        assert_eq!(text(&left, LEFT_OUT), "app2\n");
        assert!(!same.files.contains_key(LEFT_OUT));
        assert_eq!(
            (&left.units, &left.resources),
            (&same.units, &same.resources)
        );
        assert_eq!(contents(left), contents(same));
    }
    // Without any other host, no port is open to one.
    let alone = cluster()
        .without(&["app3", "app2"].map(str::to_owned))
        .state();
    assert_eq!(text(&alone, LEFT_OUT), "app2\napp3\n");
    assert_eq!(contents(alone), contents(with_hosts(workers, "").state()));
}

/// The files of a host that comes back are the right ones, but its processes know nothing of what the others did.
#[test]
fn a_host_that_comes_back_stops_all_processes_before_it_starts_one() {
    let state = cluster().state_on("app2");
    let mut observed = Model::running(&state).observe(&state);
    let plan =
        |observed: &Observed| Plan::between(&state, observed, Target::Rendered, Removal::Keep);
    assert!(plan(&observed).is_empty());
    observed.was_left_out();
    let plan = plan(&observed);
    assert!(plan.stops_first());
    let of = |wanted: Verb| {
        let units = plan.steps.iter().flat_map(|step| match step {
            Step::Jobs { verb, units, .. } if *verb == wanted => units.as_slice(),
            _ => &[],
        });
        units.cloned().collect::<BTreeSet<String>>()
    };
    let mut processes = state.units.clone();
    processes.remove(units::TARGET);
    assert_eq!(of(Verb::Stop), processes);
    // Sockets start with their services.
    processes.retain(|unit| unit.ends_with(".service"));
    assert_eq!(of(Verb::Start), processes);
}

#[test]
fn workers_of_other_hosts_run_only_while_the_first_host_admits_them() {
    let setup = cluster();
    let worker = format!("{UNITS}synapse-worker@.service");
    let (first, app2) = (setup.state(), setup.state_on("app2"));
    let option = " --first-host 10.0.0.1:";
    assert!(!text(&first, &worker).contains(option));
    let (_, rest) = text(&app2, &worker).split_once(option).unwrap();
    let port = rest.split(' ').next().unwrap();
    // The socket of main, which drops packets from other addresses than those of the hosts in use.
    assert!(opened(&first, "main").contains(&format!("10.0.0.1:{port}")));
    let left = setup.without(&["app2".to_owned()]).state();
    let admitted = values(&left, units::MAIN_SOCKET, "IPAddressAllow");
    assert_eq!(admitted, ["10.0.0.1", "10.0.0.3"]);
}

/// systemd applies the limits of a socket unit to every connection to it, whatever the limits of the service are.
#[test]
fn only_hosts_of_the_server_reach_a_port_between_hosts() {
    let setup = cluster();
    for (host, state) in [
        (None, setup.state()),
        (Some("app2"), setup.state_on("app2")),
        (Some("app3"), setup.state_on("app3")),
    ] {
        let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
        let mut opened = BTreeSet::new();
        for unit in state
            .units
            .iter()
            .filter(|unit| unit.ends_with(".socket") && *unit != units::NGINX_SOCKET)
        {
            let file = units::file_of(unit);
            assert_eq!(values(&state, file, "IPAddressDeny"), ["any"], "{unit}");
            assert_eq!(values(&state, file, "IPAddressAllow"), all, "{unit}");
            let drop_in = format!("{unit}.d/50-address.conf");
            if file == unit.as_str() {
                opened.extend(
                    values(&state, file, "ListenStream")
                        .into_iter()
                        .map(str::to_owned),
                );
            } else if state.files.contains_key(&format!("{UNITS}{drop_in}")) {
                opened.extend(
                    values(&state, &drop_in, "ListenStream")
                        .into_iter()
                        .map(str::to_owned),
                );
            }
        }
        let read = |input: &Input| -> BTreeSet<String> {
            let ports = bound(input).into_iter();
            let of_sockets = ports
                .filter(|port| port.unit.ends_with(".socket") && port.unit != units::NGINX_SOCKET);
            of_sockets.map(|port| port.address.to_string()).collect()
        };
        let known = match host {
            None => setup.with_input(read),
            Some(host) => setup.with_input_on(host, read),
        };
        let opened: BTreeSet<String> = opened
            .into_iter()
            .filter(|place| !place.starts_with('/'))
            .collect();
        assert!(
            !opened.is_empty() && opened == known,
            "{host:?}: {opened:?} {known:?}"
        );
    }
    // Redis opens its port itself.
    let state = setup.state();
    let redis = text(&state, "redis/redis.conf");
    assert!(
        redis.contains("\nbind 10.0.0.1\nport 20008\nunixsocket "),
        "{redis}"
    );
    assert_eq!(
        values(&state, units::REDIS, "IPAddressAllow"),
        ["localhost", "10.0.0.1", "10.0.0.2", "10.0.0.3"]
    );
    assert_eq!(
        values(&state, units::REDIS, "SocketBindAllow"),
        ["ipv4:tcp:20008"]
    );
}

#[test]
fn a_worker_without_other_needs_reaches_the_hosts_and_the_services_alone() {
    let setup = cluster();
    let file = "synapse-worker@app2_typing1.service.d/50-network.conf";
    let expected = ["localhost", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.9"];
    assert_eq!(
        values(&setup.state_on("app2"), file, "IPAddressAllow"),
        expected
    );
    let sender =
        "host/etc/systemd/system/synapse-worker@app2_federation_sender1.service.d/50-network.conf";
    assert!(!setup.state_on("app2").files.contains_key(sender));
    // The servers that resolve a name are not known.
    let named = Setup::new("typing").settings(
        "address: 10.0.0.1\ndatabase: {host: db.example.test}\nhosts: {app2: {address: 10.0.0.2, workers: [presence]}}",
    );
    let limited = |state: &State| {
        state
            .files
            .keys()
            .any(|path| path.ends_with("50-network.conf"))
    };
    assert!(!limited(&named.state()) && !limited(&named.state_on("app2")));
    assert_eq!(
        values(&named.state(), units::NGINX, "IPAddressAllow"),
        ["localhost", "10.0.0.1", "10.0.0.2"]
    );
}

#[test]
fn another_host_gets_its_workers_and_no_other_service() {
    let setup = cluster().settings(
        "metrics: {enabled: true, postgres: true}\ntls: {acme: {}}\ncoturn: {enabled: true, internal_ip: 10.0.0.1}\n\
         compressor: {enabled: true}\nbackup: {repository: /srv/backups}\nalerts: {email: [a@b.test], smtp_host: m.test}",
    );
    let state = setup.state_on("app3");
    let expected = [
        "synapse-worker@app3_client_reader1.service",
        "synapse-worker@app3_client_reader1.socket",
        "synapse-worker@app3_pusher1.service",
        "synapse-worker@app3_pusher1.socket",
        "synapse-workers.target",
    ];
    assert_eq!(
        state.units.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
    let other = |path: &&String| {
        [
            "nginx/",
            "redis/",
            "prometheus/",
            "coturn/",
            "acme/",
            "compressor/",
            "metrics/",
            "alertmanager/",
            "synapse/main.yaml",
        ]
        .iter()
        .any(|beginning| path.starts_with(beginning))
    };
    assert_eq!(state.files.keys().find(other), None);
    let accounts: Vec<_> = state
        .resources
        .iter()
        .filter(|it| matches!(it, Resource::Account(_)))
        .collect();
    assert_eq!(accounts, [&Resource::Account("synapse".to_owned())]);
    let own = text(&state, "host/etc/tmpfiles.d/synapse-workers.conf");
    assert!(
        !own.contains("synapse-nginx") && !own.contains("/run/synapse-workers/"),
        "{own}"
    );
}

#[test]
fn another_host_gets_only_the_secrets_that_its_processes_read() {
    let setup = with_hosts(
        "synchrotron",
        "a: {address: 10.0.0.2, workers: [typing]}, b: {address: 10.0.0.3, workers: [client_reader, pusher]}",
    )
    .settings(
        "email: {enabled: true, smtp_host: m.test, smtp_user: u, smtp_password_file: /root/smtp}\n\
         turn: {uris: ['turn:t.test']}\nbackup: {repository: /srv/backups}\nmanhole: {main: true}\n\
         registration: {enabled: true, verification: captcha, recaptcha_public_key: k}",
    )
    .secret("postgres_password")
    .secret("recaptcha_private_key");
    let every = [
        "form_secret",
        "macaroon_secret_key",
        "own_redis_password",
        "pgpass",
        "postgres_password",
        "worker_replication_secret",
    ];
    let a = setup.state_on("a");
    assert_eq!(names_of_secrets(&a), every.into());
    let b = setup.state_on("b");
    let more = [
        "recaptcha_private_key",
        "smtp_password",
        "synapse.d/email.yaml",
        "turn_shared_secret",
    ];
    assert_eq!(
        names_of_secrets(&b),
        every.into_iter().chain(more).collect()
    );
    for state in [&a, &b] {
        let options = yaml(state, "synapse/homeserver.yaml");
        assert!(options.get("registration_shared_secret_path").is_none());
        // Every file of a secret that the options name is there.
        for (key, value) in options.as_mapping().unwrap() {
            let path = value
                .as_str()
                .and_then(|path| path.strip_prefix("/etc/synapse-workers/secrets/"));
            let known = path.is_none_or(|name| names_of_secrets(state).contains(name));
            assert!(known, "{key:?}");
        }
    }
    // Without a pusher, Synapse needs the block (config/emailconfig.py), but not the password in it.
    assert!(
        yaml(&a, "synapse/homeserver.yaml")["email"]
            .get("smtp_pass")
            .is_none()
    );
    assert!(
        yaml(&a, "synapse/homeserver.yaml")
            .get("turn_uris")
            .is_none()
    );
    // A module of the administrator may send e-mail from any process.
    let module = setup
        .clone()
        .own("m.yaml", "modules: [{module: a.B, config: {}}]\n");
    assert!(names_of_secrets(&module.state_on("a")).contains("smtp_password"));
    let first = setup.state();
    let others: BTreeSet<_> = every.into_iter().chain(more).collect();
    assert!(names_of_secrets(&first).is_superset(&others));
    assert!(names_of_secrets(&first).contains("redis.acl"));
}

#[test]
fn redis_has_a_password_on_every_host_and_its_users_are_composed() {
    let setup = cluster();
    let redis = |state: &State| yaml(state, "synapse/shared.d/replication.yaml")["redis"].clone();
    let password = "/etc/synapse-workers/secrets/own_redis_password";
    let first = redis(&setup.state());
    assert_eq!(
        first["path"].as_str(),
        Some("/run/synapse-workers/redis/redis.sock")
    );
    assert_eq!(first["password_path"].as_str(), Some(password));
    let other = redis(&setup.state_on("app3"));
    assert_eq!(
        (other["host"].as_str(), other["port"].as_u64()),
        (Some("10.0.0.1"), Some(20_008))
    );
    assert_eq!(other["password_path"].as_str(), Some(password));
    assert!(text(&setup.state(), "secrets/redis.acl").contains(">@own_redis_password@ "));
    // An external Redis serves all hosts as it is.
    let external = cluster().settings("redis: {host: redis.test}");
    assert_eq!(
        redis(&external.state_on("app3"))["host"].as_str(),
        Some("redis.test")
    );
    assert!(!names_of_secrets(&external.state()).contains("own_redis_password"));
}

#[test]
fn nginx_leaves_a_host_that_is_down() {
    let state = cluster().state();
    let nginx = text(&state, "nginx/nginx.conf");
    for line in [
        "server unix:/run/synapse-workers/public/synchrotron1.sock max_fails=0;",
        "server 10.0.0.2:24600 max_fails=1 fail_timeout=2s;",
        // Beside `least_conn`, a server on this host counts twice.
        "server 10.0.0.3:24800 weight=2 max_fails=1 fail_timeout=2s;",
        "server 10.0.0.2:23700 max_fails=1 fail_timeout=2s backup;",
        "proxy_next_upstream error timeout;",
        "proxy_connect_timeout 2s;",
        "error_page 504 = @main_late;",
    ] {
        assert!(
            nginx.contains(&format!("        {line}\n")),
            "{line}\n{nginx}"
        );
    }
}

/// All requests to other homeservers go through the senders, which other hosts then reach as well.
#[test]
fn federation_senders_of_every_host_serve_all_hosts() {
    let setup = with_hosts(
        "federation_sender, client_reader",
        "b: {address: 10.0.0.2, workers: [federation_sender, synchrotron]}",
    )
    .settings("sandbox: {network: senders}");
    let (first, other) = (setup.state(), setup.state_on("b"));
    for state in [&first, &other] {
        let senders = &yaml(
            state,
            "synapse/shared.d/outbound_federation_restricted_to.yaml",
        );
        let senders = senders["outbound_federation_restricted_to"]
            .as_sequence()
            .unwrap();
        assert_eq!(
            senders,
            &["b_federation_sender1", "federation_sender1"].map(Value::from)
        );
    }
    assert!(replication(&first, "federation_sender1").contains("10.0.0.1:26200"));
    assert!(replication(&other, "b_federation_sender1").contains("10.0.0.2:26200"));
}

#[test]
fn ports_stay_when_another_host_changes() {
    let ports = |setup: &Setup, host: &str| {
        setup.with_input_on(host, |input: &Input| {
            bound(input)
                .into_iter()
                .map(|port| port.to_string())
                .collect::<Vec<_>>()
        })
    };
    let app3 = "app3: {address: 10.0.0.3, workers: [synchrotron:2, typing, x=pusher]}";
    let before = with_hosts("synchrotron", app3);
    let after = with_hosts(
        "synchrotron:9, event_persister:3",
        &format!(
            "app2: {{address: 10.0.0.2, workers: [synchrotron:7, x=presence, receipts:3]}}, {app3}"
        ),
    );
    assert_eq!(ports(&before, "app3"), ports(&after, "app3"));
    // A worker has the port that it would have on the only host.
    let alone = Setup::new("synchrotron:2").settings("sockets: {public: false}");
    let alone =
        alone.with_input(|input: &Input| input.endpoints().public("synchrotron2").upstream());
    let shared =
        after.with_input(|input: &Input| input.endpoints().public("app3_synchrotron2").upstream());
    assert_eq!(
        alone.rsplit_once(':').unwrap().1,
        shared.rsplit_once(':').unwrap().1
    );
}

#[test]
fn prometheus_asks_every_process_and_names_its_host() {
    let state = cluster().settings("metrics: {enabled: true}").state();
    let rendered = text(&state, "prometheus/prometheus.yml");
    assert!(
        rendered.contains(r#"worker: "main", host: "first"}"#),
        "{rendered}"
    );
    let place = rendered
        .split("targets: [\"10.0.0.3:24800\"]\n")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    assert_eq!(
        place.trim(),
        r#"labels: {job: "app3_client_reader", index: "1", instance: "example.test", worker: "app3_client_reader1", host: "app3"}"#
    );
    let resources = yaml(
        &cluster()
            .settings("metrics: {enabled: true}")
            .state_on("app3"),
        "synapse/workers/app3_client_reader1.yaml",
    );
    let names = resources["worker_listeners"][0]["resources"][0]["names"]
        .as_sequence()
        .unwrap();
    assert!(names.contains(&Value::from("metrics")));
}

#[test]
fn addresses_of_version_6_are_written_as_each_program_reads_them() {
    let setup = Setup::new("typing").settings(
        "address: fd00::1\ndatabase: {host: 'fd00::9'}\nhosts: {b: {address: 'fd00::2', workers: [presence]}}",
    );
    let (first, other) = (setup.state(), setup.state_on("b"));
    assert!(text(&first, "nginx/nginx.conf").contains("server [fd00::2]:24000 max_fails=1"));
    assert_eq!(
        values(
            &other,
            "synapse-worker@b_presence1.socket.d/50-address.conf",
            "ListenStream"
        )
        .len(),
        2
    );
    let map = &yaml(&other, "synapse/shared.d/instance_map.yaml")["instance_map"];
    assert_eq!(map["main"]["host"].as_str(), Some("fd00::1"));
    assert!(text(&first, "redis/redis.conf").contains("\nbind fd00::1\n"));
}

#[test]
fn a_server_with_one_host_ignores_its_address() {
    for spec in SPECS {
        let plain = Setup::new(spec);
        let addressed = Setup::new(spec).settings("address: 10.0.0.1\ncluster: {encrypted: true}");
        let (plain, addressed) = (plain.state(), addressed.state());
        let contents = |state: &State| -> Vec<_> {
            let files = state.files.iter();
            files
                .map(|(path, file)| (path.clone(), file.contents.clone()))
                .collect()
        };
        assert!(
            contents(&plain) == contents(&addressed) && plain.units == addressed.units,
            "{spec}"
        );
        assert!(plain.resources == addressed.resources, "{spec}");
    }
}

/// Each line has settings and what the refusal says.
#[test]
fn settings_that_cannot_work_with_other_hosts_are_refused() {
    const DATABASE: &str = "database: {host: db.test}\n";
    const HOST: &str = "hosts: {b: {address: 10.0.0.2, workers: [pusher]}}\n";
    for (lines, expected) in [
        (
            format!("{DATABASE}{HOST}"),
            "`hosts` is set, but `address` is not",
        ),
        (
            format!("address: 10.0.0.1\n{HOST}"),
            "`hosts` is set, but the PostgreSQL of this host is not open to other hosts",
        ),
        (
            format!("address: 10.0.0.1\n{HOST}"),
            "synapse-workers install --open-database",
        ),
        (
            format!("address: 10.0.0.1\ndatabase: {{host: db.test, open: true}}\n{HOST}"),
            "`database.open` is true, but `database.host` is db.test",
        ),
        (
            format!("address: 10.0.0.1\ndatabase: {{host: 127.0.0.1}}\n{HOST}"),
            "`database.host` is 127.0.0.1, which the other hosts cannot reach",
        ),
        (
            format!("address: 10.0.0.1\ndatabase: {{host: /run/postgresql}}\n{HOST}"),
            "which the other hosts cannot reach",
        ),
        (
            format!("address: 192.0.2.1\n{DATABASE}{HOST}"),
            "`address` is 192.0.2.1, which is not in a private network",
        ),
        (
            format!("address: 127.0.0.1\n{DATABASE}{HOST}"),
            "`address` is 127.0.0.1, which other hosts cannot reach",
        ),
        (
            format!("address: 10.0.0.2\n{DATABASE}{HOST}"),
            "`address` and `hosts.b.address` are both 10.0.0.2",
        ),
        (
            format!(
                "address: 10.0.0.1\n{DATABASE}hosts: {{b: {{address: 198.51.100.2, workers: [pusher]}}}}\n"
            ),
            "`hosts.b.address` is 198.51.100.2, which is not in a private network",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}redis: {{host: localhost}}"),
            "`redis.host` is localhost",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}sockets: {{held: false}}"),
            "`sockets.held` is false",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}sockets: {{public: false}}"),
            "`sockets.public` is false",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}warm: {{mode: fork}}"),
            "`warm.mode` is not off",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}adopt: {{config: [/etc/h.yaml]}}"),
            "`adopt.config` is set",
        ),
        (
            format!(
                "address: 10.0.0.1\n{DATABASE}{HOST}mas: {{endpoint: 'http://127.0.0.1:8090/'}}"
            ),
            "`mas.endpoint` is on this host alone",
        ),
        (
            format!("address: 10.0.0.1\n{DATABASE}{HOST}metrics: {{enabled: true, redis: true}}"),
            "`metrics.redis` is true",
        ),
    ] {
        let error = Setup::new("synchrotron")
            .settings(&lines)
            .try_settings()
            .expect_err(&lines);
        assert!(error.contains(expected), "{lines}\n{error}");
        assert_eq!(error.matches("\n  help: ").count(), 1, "{error}");
    }
    for lines in [
        "address: 192.0.2.1\ndatabase: {host: db.test}\ncluster: {encrypted: true}\nhosts: {b: {address: '2001:db8::2', workers: [pusher]}}",
        "address: 100.64.0.1\ndatabase: {host: db.test}\nhosts: {b: {address: 'fd00::2', workers: [pusher]}}",
    ] {
        assert!(
            Setup::new("").settings(lines).try_settings().is_ok(),
            "{lines}"
        );
    }
}

#[test]
fn workers_that_need_this_host_are_refused_on_another_one() {
    let problem = |setup: Setup| setup.deployment().misplaced().map(|it| it.problem);
    let media = || {
        with_hosts(
            "synchrotron",
            "b: {address: 10.0.0.2, workers: [media_repository]}",
        )
    };
    assert_eq!(
        problem(media()).unwrap(),
        "the worker b_media_repository1 would store media on its own host, where no other process finds them"
    );
    assert_eq!(problem(media().settings("media_store_shared: true")), None);
    let s3 = "media_storage_providers:\n- module: s3_storage_provider.S3StorageProviderBackend\n  store_local: true\n";
    assert_eq!(problem(media().own("s3.yaml", s3)), None);
    assert!(
        problem(media().own(
            "files.yaml",
            "media_storage_providers: [{module: file_system}]"
        ))
        .is_some()
    );
    let mail = |lines: &str| {
        with_hosts("synchrotron", "b: {address: 10.0.0.2, workers: [pusher]}").settings(lines)
    };
    assert!(
        problem(mail("email: {enabled: true}"))
            .unwrap()
            .contains("b_pusher1 sends e-mail from its own host")
    );
    assert_eq!(
        problem(mail("email: {enabled: true, smtp_host: m.test}")),
        None
    );
    assert_eq!(problem(mail("")), None);
    let bridge = |workers: &str, url: &str| {
        let hosts = format!("b: {{address: 10.0.0.2, workers: [{workers}]}}");
        let text = format!("id: irc\nurl: {url}\n");
        problem(with_hosts("appservice", &hosts).app_service("/srv/irc.yaml", &text))
    };
    for url in [
        "http://localhost:29318",
        "'http://[::1]:29318/x'",
        "http://127.0.0.1",
    ] {
        let found = bridge("client_reader", url).unwrap();
        assert!(
            found.contains("b_client_reader1 sends requests to application services"),
            "{found}"
        );
        assert_eq!(bridge("synchrotron", url), None);
    }
    for url in ["http://irc.test:29318", "null", "http://10.0.0.1:29318"] {
        assert_eq!(bridge("client_reader", url), None, "{url}");
    }
}
