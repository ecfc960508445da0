//! Ports: the table lists every port that a rendered file makes a unit bind, with the unit and the setting that moves
//! it.

use super::setup::{Setup, text};
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use synapse_workers::render::Input;
use synapse_workers::render::ports::bound;
use synapse_workers::state::ports::{BoundPort, Transport};
use synapse_workers::state::units;

fn ports(setup: &Setup) -> Vec<BoundPort> {
    setup.with_input(|input: &Input| bound(input))
}

fn of<'a>(ports: &'a [BoundPort], unit: &str) -> BTreeSet<(u16, &'a str)> {
    let ports = ports.iter().filter(|port| port.unit == unit);
    ports
        .map(|port| (port.address.port(), port.setting))
        .collect()
}

const EVERYTHING: &str = "http_federation_port: 8018\nsockets: {public: false, replication: false}\n\
    manhole: {main: true, workers: true}\nmetrics: {enabled: true, redis: true, postgres: true}\n\
    tls: {acme: {}}\ncoturn: {enabled: true, metrics: true}\nalerts: {email: [a@b.test]}";

#[test]
fn the_table_lists_every_port_of_synapse_and_nginx() {
    let setup = Setup::new("small").settings(EVERYTHING);
    let (state, ports) = (setup.state(), ports(&setup));
    let mut seen = 0;
    for unit in state.units.iter().filter(|unit| units::is_synapse(unit)) {
        let (path, key) = match units::worker_of(unit) {
            Some(name) => (format!("synapse/workers/{name}.yaml"), "worker_listeners"),
            None => ("synapse/main.yaml".to_owned(), "listeners"),
        };
        let process: Value = serde_yaml::from_str(text(&state, &path)).unwrap();
        let known: BTreeSet<u16> = of(&ports, unit).into_iter().map(|(port, _)| port).collect();
        let mut rendered = BTreeSet::new();
        for listener in process[key].as_sequence().unwrap() {
            assert_eq!(
                listener["bind_addresses"][0].as_str(),
                Some("127.0.0.1"),
                "{path}"
            );
            rendered.insert(u16::try_from(listener["port"].as_u64().unwrap()).unwrap());
        }
        assert_eq!(known, rendered, "{unit}");
        seen += rendered.len();
    }
    assert!(
        seen > 12,
        "public, replication, metrics and manhole of four processes: {seen}"
    );

    let nginx: BTreeSet<SocketAddr> = ports
        .iter()
        .filter(|port| port.unit == units::NGINX)
        .map(|port| port.address)
        .collect();
    let files = [
        text(&state, "nginx/listen.conf"),
        text(&state, "nginx/listen-challenge.conf"),
        text(&state, "nginx/nginx.conf"),
    ]
    .concat();
    let listens = files
        .lines()
        .filter_map(|line| line.trim().strip_prefix("listen "));
    let listens = listens.map(|line| line.split([' ', ';']).next().unwrap().parse().unwrap());
    assert_eq!(nginx, listens.collect::<BTreeSet<SocketAddr>>());
}

/// The ports of other programs are in their unit files and in coturn's configuration.
#[test]
fn the_table_lists_only_ports_that_the_files_of_their_units_contain() {
    let mut setup = Setup::new("small").settings(EVERYTHING);
    setup.facts.coturn.metrics = true;
    let (state, ports) = (setup.state(), ports(&setup));
    // Only the files of the unit count: Prometheus' configuration names the ports of all exporters.
    let files_of = |unit: &str| -> String {
        let files = state.files.values();
        let files = files.filter(|file| file.affects.contains(unit));
        files
            .map(|file| String::from_utf8_lossy(&file.contents))
            .collect()
    };
    let mut services: BTreeSet<&str> = ports.iter().map(|port| port.unit.as_str()).collect();
    services.retain(|unit| !units::is_synapse(unit));
    let known = [
        units::NGINX,
        units::NGINX_EXPORTER,
        units::NGINX_LOG_EXPORTER,
        units::REDIS_EXPORTER,
        units::POSTGRES_EXPORTER,
        units::PROMETHEUS,
        units::ALERTMANAGER,
        units::COTURN,
    ];
    assert_eq!(services, known.into());
    for port in ports.iter().filter(|port| !units::is_synapse(&port.unit)) {
        let number = port.address.port();
        let notations = [
            format!(":{number}"),
            format!("port={number}"),
            format!("-port {number}"),
        ];
        let files = files_of(&port.unit);
        let found = notations.iter().any(|notation| files.contains(notation));
        assert!(found, "{port} is not in\n{files}");
    }
}

#[test]
fn no_two_units_bind_the_same_port() {
    for spec in ["", "small", "full", "synchrotron:40"] {
        let ports = ports(&Setup::new(spec).settings(EVERYTHING));
        for (place, port) in ports.iter().enumerate() {
            let other = ports[..place]
                .iter()
                .find(|before| before.conflicts_with(port));
            assert_eq!(other, None, "{port}");
        }
    }
}

/// The expected ports are the defaults of the settings, from the documentation of each program. A service that is off
/// has no port.
#[test]
fn only_enabled_services_bind_ports() {
    let off = ports(&Setup::new("small"));
    let units: BTreeSet<&str> = off.iter().map(|port| port.unit.as_str()).collect();
    assert_eq!(units, [units::NGINX].into());
    // systemd holds the port of nginx's status page, so it is bound without metrics too.
    let status = (20001, "tcp_ports");
    assert_eq!(of(&off, units::NGINX), [(8008, "http_port"), status].into());
    let bound = ports(&Setup::new("small").settings("sockets: {held: false}"));
    assert_eq!(of(&bound, units::NGINX), [(8008, "http_port")].into());
    let tls = ports(&Setup::new("").settings("tls: {certificate: /etc/a.pem, key: /etc/a.key}"));
    assert_eq!(
        of(&tls, units::NGINX),
        [
            (8008, "http_port"),
            status,
            (443, "tls.port"),
            (8448, "tls.federation_port")
        ]
        .into()
    );
    let with_metrics = ports(&Setup::new("").settings("metrics: {enabled: true}"));
    assert_eq!(of(&with_metrics, units::MAIN), BTreeSet::new());
    let lines = "metrics: {enabled: true}\nsockets: {public: false}";
    let listening = ports(&Setup::new("").settings(lines));
    let tcp = of(&listening, units::MAIN);
    assert!(tcp.contains(&(8060, "metrics.port")), "{tcp:?}");
    assert_eq!(
        of(&with_metrics, units::NGINX_EXPORTER),
        [(20002, "tcp_ports")].into()
    );
}

#[test]
fn a_wildcard_address_conflicts_with_every_address() {
    let port = |address: &str, transport| BoundPort {
        transport,
        address: address.parse().unwrap(),
        unit: String::new(),
        setting: "",
    };
    let tcp = |address| port(address, Transport::Tcp);
    assert!(tcp("0.0.0.0:8008").conflicts_with(&tcp("127.0.0.1:8008")));
    assert!(tcp("127.0.0.1:8008").conflicts_with(&tcp("0.0.0.0:8008")));
    assert!(!tcp("127.0.0.1:8008").conflicts_with(&tcp("127.0.0.2:8008")));
    assert!(!tcp("127.0.0.1:8008").conflicts_with(&tcp("127.0.0.1:8009")));
    assert!(!tcp("127.0.0.1:8008").conflicts_with(&port("127.0.0.1:8008", Transport::Udp)));
}
