//! The sandbox of each unit: who has the network, what is open to whom, and that both systemds know every switch.

use super::metrics::measured;
use super::model::{End, Model};
use super::setup::{SPECS, Setup, text};
use std::collections::BTreeSet;
use synapse_workers::plan::state::State;
use synapse_workers::plan::step::{Step, Verb};
use synapse_workers::plan::{Plan, names};
use synapse_workers::render::sandbox::{Network, Program, lines};

const UNITS: &str = "host/etc/systemd/system/";

/// The workers that have no network.
fn closed(state: &State) -> BTreeSet<String> {
    let names = state.files.keys().filter_map(|path| {
        path.strip_prefix(UNITS)?
            .strip_prefix("synapse-worker@")?
            .strip_suffix(".service.d/50-network.conf")
    });
    names.map(str::to_owned).collect()
}

/// The values of a key in a unit, in order.
fn values<'a>(state: &'a State, unit: &str, key: &str) -> Vec<&'a str> {
    let lines = text(state, &format!("{UNITS}{unit}")).lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn workers_that_send_nothing_have_no_network() {
    let state = measured("full").state();
    assert_eq!(
        closed(&state),
        set(&[
            "account_data1",
            "appservice1",
            "presence1",
            "push_rules1",
            "receipts1",
            "sliding_sync1",
            "synchrotron1",
            "to_device1",
            "typing1"
        ])
    );
    // One role that sends is enough for the whole worker.
    let state = Setup::new("a=typing+pusher, c=receipts").state();
    assert_eq!(closed(&state), set(&["c1"]));
    let file = "synapse-worker@c1.service.d/50-network.conf";
    assert_eq!(values(&state, file, "PrivateNetwork"), ["yes"]);
    assert_eq!(
        values(&state, file, "RestrictAddressFamilies"),
        ["", "AF_UNIX"]
    );
    let unit = values(&state, "synapse-worker@.service", "RestrictAddressFamilies");
    assert_eq!(unit, ["AF_UNIX AF_INET AF_INET6"]);
}

/// Whatever may have a process open a connection keeps the network for every worker.
#[test]
fn nobody_loses_a_network_that_may_be_needed() {
    let none: BTreeSet<String> = BTreeSet::new();
    for lines in [
        "sandbox: {network: all}",
        "sockets: {public: false}",
        "sockets: {replication: false}",
        "redis: {host: redis.example}",
        "database: {host: db.example}",
        "manhole: {workers: true}",
    ] {
        let state = Setup::new("typing, synchrotron").settings(lines).state();
        assert_eq!(closed(&state), none, "{lines}");
    }
    for options in [
        "modules: [{module: a.B}]",
        "presence: {enabled: true, presence_router: {module: a.B}}",
        "opentracing: {enabled: true}",
        "sentry: {dsn: x}",
        "matrix_authentication_service: {enabled: true}",
        "experimental_features: {msc3861: {enabled: true}}",
        "oidc_providers: [{idp_id: a}]",
        "saml2_config: {}",
        "database: {name: psycopg2, args: {host: db.example}}",
        "a: [not, closed",
    ] {
        let setup = Setup::new("typing, synchrotron").own("own.yaml", options);
        assert_eq!(closed(&setup.state()), none, "{options}");
    }
    let mut logged = Setup::new("typing");
    logged.named.log_config = Some(b"version: 1".to_vec());
    assert_eq!(closed(&logged.state()), none);
    for harmless in [
        "presence: {enabled: true}",
        "experimental_features: {msc3030_enabled: true}",
        "enable_registration: true",
        "modules:",
        "",
    ] {
        let setup = Setup::new("typing").own("own.yaml", harmless);
        assert_eq!(closed(&setup.state()), set(&["typing1"]), "{harmless}");
    }
    let near = Setup::new("typing").settings("database: {host: /run/postgresql}");
    assert_eq!(closed(&near.state()), set(&["typing1"]));
    // What an adopted server says of its database counts.
    for (arguments, expected) in [
        ("{dbname: s}", set(&["typing1"])),
        ("{dbname: s, host: /run/postgresql}", set(&["typing1"])),
        ("{dbname: s, host: localhost}", none.clone()),
        ("{dbname: s, service: far}", none.clone()),
    ] {
        let file = format!(
            "server_name: example.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
             database: {{name: psycopg2, args: {arguments}}}\n"
        );
        let setup = Setup::new("typing")
            .adopting(&file)
            .settings("database: {host: /run/postgresql}");
        assert_eq!(closed(&setup.state()), expected, "{arguments}");
    }
}

/// What goes to other homeservers, the federation senders send; what goes elsewhere, each process itself.
#[test]
fn with_senders_a_worker_that_asks_homeservers_only_has_no_network() {
    let asking = set(&[
        "background_worker1",
        "client_reader1",
        "device_lists1",
        "event_persister1",
        "federation_inbound1",
        "federation_reader1",
        "user_dir1",
    ]);
    let auto = closed(&measured("full").state());
    let senders = |lines: &str| {
        let settings = format!("sandbox: {{network: senders}}\n{lines}");
        measured("full").settings(&settings)
    };
    let opened = |setup: Setup| -> BTreeSet<String> {
        let found = closed(&setup.state());
        asking.difference(&found).cloned().collect()
    };
    let found = closed(&senders("").state());
    assert_eq!(found, auto.union(&asking).cloned().collect());
    for (lines, expected) in [
        ("report_stats: true", set(&["background_worker1"])),
        (
            "email: {enabled: true, smtp_host: mail.example}",
            set(&["background_worker1"]),
        ),
        (
            "registration: {enabled: true, verification: captcha, recaptcha_public_key: k}",
            set(&["client_reader1"]),
        ),
        ("sockets: {replication: false}", asking.clone()),
    ] {
        assert_eq!(opened(senders(lines)), expected, "{lines}");
    }
    for (options, expected) in [
        ("email: {smtp_host: a}", set(&["background_worker1"])),
        (
            "enable_registration_captcha: true",
            set(&["client_reader1"]),
        ),
        ("enable_registration_captcha: false", set(&[])),
        (
            "account_threepid_delegates: {msisdn: https://a}",
            set(&["client_reader1", "device_lists1"]),
        ),
        ("modules: [{module: a.B}]", asking.clone()),
        (
            "app_service_config_files: [/a.yaml]",
            set(&["client_reader1", "event_persister1", "federation_reader1"]),
        ),
    ] {
        assert_eq!(
            opened(senders("").own("own.yaml", options)),
            expected,
            "{options}"
        );
    }
}

/// config_documentation.md, outbound_federation_restricted_to: senders need a replication listener and a place in the
/// instance map, however processes listen.
#[test]
fn senders_are_named_and_can_be_reached() {
    for lines in [
        "",
        "sockets: {held: false}",
        "sockets: {replication: false}",
    ] {
        let spec = "federation_sender:2, typing";
        let key = "outbound_federation_restricted_to";
        let file = format!("synapse/shared.d/{key}.yaml");
        let setup = Setup::new(spec).settings(lines);
        let map = |state: &State| text(state, "synapse/shared.d/instance_map.yaml").to_owned();
        let auto = setup.state();
        assert!(!auto.files.contains_key(&file));
        assert!(!map(&auto).contains("federation_sender"));
        let state = Setup::new(spec)
            .settings(&format!("{lines}\nsandbox: {{network: senders}}"))
            .state();
        let named = format!("{key}: [\"federation_sender1\",\"federation_sender2\"]\n");
        assert!(
            text(&state, &file).ends_with(&named),
            "{}",
            text(&state, &file)
        );
        for worker in ["federation_sender1", "federation_sender2"] {
            assert!(map(&state).contains(worker), "{}", map(&state));
            let own = text(&state, &format!("synapse/workers/{worker}.yaml"));
            assert!(own.contains(r#"names: ["replication"]"#), "{lines}\n{own}");
        }
    }
}

#[test]
fn an_application_service_gives_its_worker_the_network() {
    let setup = Setup::new("appservice, typing");
    assert_eq!(closed(&setup.state()), set(&["appservice1", "typing1"]));
    let setup = setup.app_service("/etc/bridge.yaml", "id: bridge");
    assert_eq!(closed(&setup.state()), set(&["typing1"]));
    let own = Setup::new("appservice").own("own.yaml", "app_service_config_files: [/a.yaml]");
    assert_eq!(closed(&own.state()), set(&[]));
}

/// systemd.resource-control(5), IPAddressAllow=: lists of a service are not for sockets that it is given.
#[test]
fn nginx_has_the_network_that_its_sockets_ask_for() {
    let network = |lines: &str| {
        let state = Setup::new("synchrotron").settings(lines).state();
        let value = |key| values(&state, "synapse-nginx.service", key).join(" ");
        [
            value("PrivateNetwork"),
            value("IPAddressAllow"),
            value("AmbientCapabilities"),
        ]
    };
    let tls = "tls: {certificate: /etc/a.pem, key: /etc/a.key}\n";
    assert_eq!(network(tls), ["yes", "", ""]);
    assert_eq!(network("sockets: {public: false}"), ["", "localhost", ""]);
    assert_eq!(network("sockets: {held: false}"), ["", "", ""]);
    let low = network(&format!("{tls}sockets: {{held: false}}"));
    assert_eq!(low, ["", "", "CAP_NET_BIND_SERVICE"]);
}

/// A process of Synapse that has the network has it for what it sends. Its resolver binds UDP ports for that.
#[test]
fn processes_bind_no_tcp_port_but_those_of_their_listeners() {
    let main = names::MAIN;
    let workers = names::WORKERS;
    for (lines, unit, expected) in [
        ("", main, Some("udp")),
        ("", workers, Some("udp")),
        ("manhole: {main: true}", main, Some("ipv4:tcp:29000 udp")),
        ("manhole: {main: true}", workers, Some("udp")),
        ("manhole: {workers: true}", workers, None),
        ("sockets: {public: false}", workers, None),
        (
            "sockets: {replication: false}",
            main,
            Some("ipv4:tcp:26000 udp"),
        ),
        ("sandbox: {network: all}", main, None),
        ("sandbox: {network: all}", workers, None),
        (
            "coturn: {enabled: true, min_port: 50000, max_port: 50099}\ntls: {certificate: /a/b, key: /a/c}",
            names::COTURN,
            Some(
                "ipv4:tcp:3478 ipv4:udp:3478 ipv4:tcp:5349 ipv4:udp:5349 tcp:3478 udp:3478 tcp:5349 udp:5349 udp:50000-50099",
            ),
        ),
    ] {
        let state = Setup::new("pusher, typing").settings(lines).state();
        let denied = values(&state, unit, "SocketBindDeny");
        let allowed = values(&state, unit, "SocketBindAllow").join(" ");
        let found = (!denied.is_empty()).then_some(allowed.as_str());
        assert_eq!(found, expected, "{lines} {unit}");
    }
    let state = Setup::new("typing").state();
    let drop_in = "synapse-worker@typing1.service.d/50-network.conf";
    assert_eq!(values(&state, drop_in, "SocketBindAllow"), [""]);
}

/// Whatever listens on a Unix socket, the bus and PostgreSQL among it, is out of reach of those that need none.
#[test]
fn who_opens_no_unix_socket_may_not() {
    let state = measured("synchrotron")
        .settings("coturn: {enabled: true, metrics: true, internal_ip: 10.0.0.1}")
        .state();
    for (unit, expected) in [
        (names::PROMETHEUS, "AF_INET AF_INET6"),
        (names::NGINX_EXPORTER, "AF_INET AF_INET6"),
        (names::NGINX_LOG_EXPORTER, "AF_INET AF_INET6"),
        (names::COTURN_EXPORTER, "AF_INET AF_INET6"),
        (names::POSTGRES_EXPORTER, "AF_UNIX AF_INET AF_INET6"),
        (names::COTURN, "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
        (names::NGINX, "AF_UNIX"),
        (names::HOLD, "none"),
        (names::LOGROTATE_SERVICE, "none"),
        (names::HOST_METRICS_SERVICE, "none"),
    ] {
        assert_eq!(
            values(&state, unit, "RestrictAddressFamilies"),
            [expected],
            "{unit}"
        );
    }
}

/// Switches come from the template alone, and each unit that runs a program has it once.
#[test]
fn every_service_has_the_sandbox_and_nothing_beside_it() {
    let everything = "metrics: {enabled: true, redis: true, postgres: true}\n\
        coturn: {enabled: true, metrics: true, internal_ip: 10.0.0.1}\ncompressor: {enabled: true}\n\
        tls: {certificate: /etc/a.pem, key: /etc/a.key}\n";
    for spec in SPECS {
        let state = Setup::new(spec).settings(everything).state();
        let units = state
            .files
            .keys()
            .filter(|path| path.starts_with(UNITS) && path.ends_with(".service"));
        for path in units {
            let unit = text(&state, path);
            for (switch, count) in [
                ("NoNewPrivileges=yes", 1),
                ("ProtectSystem=strict", 1),
                ("RestrictNamespaces=yes", 1),
            ] {
                let found = unit.lines().filter(|line| *line == switch).count();
                assert_eq!(found, count, "{path}: {switch}\n{unit}");
            }
            assert!(!unit.contains("\n\n\n"), "{path}\n{unit}");
        }
    }
}

#[test]
fn helpers_get_the_sandbox_of_the_process_they_stand_for() {
    let of = |program, network| {
        let setup = Setup::new("synchrotron").settings("http_port: 80");
        setup.with_input(|input| lines(input, program, network).unwrap())
    };
    let synapse = of(Program::Synapse, Network::None);
    assert!(
        synapse.contains(&"PrivateNetwork=yes".to_owned()),
        "{synapse:?}"
    );
    assert!(
        synapse.contains(&"RestrictAddressFamilies=AF_UNIX".to_owned()),
        "{synapse:?}"
    );
    let nginx = of(Program::Nginx, Network::Host);
    assert!(
        nginx.contains(&"AmbientCapabilities=CAP_NET_BIND_SERVICE".to_owned()),
        "{nginx:?}"
    );
    for line in synapse.iter().chain(&nginx) {
        let (key, _) = line.split_once('=').unwrap_or_else(|| panic!("{line:?}"));
        assert!(key.chars().all(|c| c.is_ascii_alphanumeric()), "{line:?}");
    }
}

/// A drop-in counts until it is gone, so it goes before its unit starts again; with a worker that goes, after it.
#[test]
fn a_drop_in_goes_before_its_worker_starts_again() {
    let place = |plan: &Plan, is: &dyn Fn(&Step) -> bool| {
        let found = plan.steps.iter().position(is);
        found.unwrap_or_else(|| panic!("{plan}"))
    };
    let removal =
        |step: &Step| matches!(step, Step::RemoveFile { path } if path.contains("typing1"));
    let reload = |step: &Step| matches!(step, Step::ReloadManager);
    let job = |wanted: Verb| move |step: &Step| matches!(step, Step::Jobs { verb, units, .. } if *verb == wanted && units.iter().any(|unit| unit.contains("typing1")));
    let auto = Setup::new("typing, pusher").state();
    let all = Setup::new("typing, pusher")
        .settings("sandbox: {network: all}")
        .state();
    let plan = Model::running(&auto).run(&all, End::Done);
    let order = [
        place(&plan, &removal),
        place(&plan, &reload),
        place(&plan, &job(Verb::Restart)),
    ];
    assert!(order.is_sorted(), "{order:?}\n{plan}");
    let back = Model::running(&all).run(&auto, End::Done);
    assert!(
        place(&back, &reload) < place(&back, &job(Verb::Restart)),
        "{back}"
    );
    let gone = Model::running(&auto).run(&Setup::new("pusher").state(), End::Done);
    assert!(
        place(&gone, &job(Verb::Stop)) < place(&gone, &removal),
        "{gone}"
    );
}

/// What a unit may not see is where the certificate is not.
#[test]
fn the_certificate_is_seen_where_it_is() {
    let switches = |path: &str, target: Option<&str>| {
        let lines = format!("tls: {{certificate: {path}, key: /etc/a.key}}");
        let mut setup = Setup::new("").settings(&lines);
        setup.facts.certificate.extend(target.map(Into::into));
        let state = setup.state();
        let value = |key| values(&state, "synapse-certificate.service", key).join(" ");
        [value("ProtectHome"), value("PrivateTmp")]
    };
    assert_eq!(switches("/etc/a.pem", None), ["yes", "yes"]);
    assert_eq!(switches("/root/a.pem", None), ["read-only", "yes"]);
    assert_eq!(switches("/var/tmp/a.pem", None), ["yes", "no"]);
    // Behind a link.
    assert_eq!(
        switches("/etc/a.pem", Some("/home/acme/a.pem")),
        ["read-only", "yes"]
    );
}
