//! The network access of each service, the ports that it may bind, and which processes send requests to other
//! homeservers.

use super::metrics::with_metrics;
use super::sandbox::{UNITS, values};
use super::setup::{Setup, text};
use std::collections::BTreeSet;
use synapse_workers::state::State;
use synapse_workers::state::units;

/// The workers that have no network.
fn closed(state: &State) -> BTreeSet<String> {
    let names = state.files.keys().filter_map(|path| {
        path.strip_prefix(UNITS)?
            .strip_prefix("synapse-worker@")?
            .strip_suffix(".service.d/50-network.conf")
    });
    names.map(str::to_owned).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn workers_that_send_nothing_have_no_network() {
    let state = with_metrics("full").state();
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
    // If one role of a worker sends requests, the whole worker has the network.
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

/// Any option that may make a process open a connection keeps the network for every worker.
#[test]
fn options_that_may_need_the_network_keep_it_for_every_worker() {
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
        "oidc_providers: [{idp_id: a}]",
        "saml2_config: {}",
        "database: {name: psycopg2, args: {host: db.example}}",
        "a: [not, closed",
    ] {
        let setup = Setup::new("typing, synchrotron").own("own.yaml", options);
        assert_eq!(closed(&setup.state()), none, "{options}");
    }
    let mut logged = Setup::new("typing");
    logged.referenced.log_config = Some(b"version: 1".to_vec());
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
    // The database that an adopted server configures takes precedence.
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

/// The federation senders send requests to other homeservers; each process sends its requests to other servers itself.
#[test]
fn with_senders_workers_that_contact_only_homeservers_have_no_network() {
    let asking = set(&[
        "background_worker1",
        "client_reader1",
        "device_lists1",
        "event_persister1",
        "federation_inbound1",
        "federation_reader1",
        "user_dir1",
    ]);
    let auto = closed(&with_metrics("full").state());
    let senders = |lines: &str| {
        let settings = format!("sandbox: {{network: senders}}\n{lines}");
        with_metrics("full").settings(&settings)
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
/// instance map, whatever kind of listeners the processes have.
#[test]
fn federation_senders_are_listed_and_reachable() {
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

/// systemd.resource-control(5), IPAddressAllow=: the lists of a service do not apply to sockets that are passed to it.
#[test]
fn nginx_has_only_the_network_that_its_sockets_need() {
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

/// A Synapse process that has the network uses it to send requests. Its resolver binds UDP ports for that.
#[test]
fn processes_bind_only_the_tcp_ports_of_their_listeners() {
    let main = units::MAIN;
    let workers = units::WORKERS;
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
            units::COTURN,
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
