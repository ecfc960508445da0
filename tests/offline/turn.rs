//! The TURN server: its configuration, checked by a real turnserver, and the options with which Synapse announces it to
//! clients.

use super::setup::{Setup, text};
use super::validators::program;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use synapse_workers::deployment::secrets::{self, composed};
use synapse_workers::special_ranges::SPECIAL;
use synapse_workers::state::State;

/// A deployment with a TURN server.
pub fn with_coturn(workers: &str) -> Setup {
    Setup::new(workers).settings("coturn: {enabled: true, internal_ip: 10.0.0.2, metrics: true}")
}

fn configuration(state: &State) -> &str {
    text(state, "secrets/turnserver.conf")
}

/// The values of one option, in order.
fn values<'a>(state: &'a State, option: &str) -> Vec<&'a str> {
    let lines = configuration(state).lines();
    lines
        .filter_map(|line| line.strip_prefix(option)?.strip_prefix('='))
        .collect()
}

/// Runs turnserver with this configuration on loopback, with its own files. Returns its log up to the point at which it
/// serves.
pub fn start(state: &State, port: u16) -> String {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let text = secrets::compose(
        composed("turnserver.conf").unwrap(),
        configuration(state),
        |_| Ok::<_, ()>(" a;b\"c #d".to_owned()),
    )
    .unwrap();
    let text = text
        .replace(
            "/run/synapse-coturn",
            &directory.path().display().to_string(),
        )
        .replace(
            "/var/lib/synapse-workers/tls",
            &directory.path().display().to_string(),
        );
    fs::write(at("turnserver.conf"), &text).unwrap();
    if text.contains("cert=") {
        certificate(&at("synapse-coturn.pem"));
    }
    // In its own network namespace, no other test uses the port. A timeout ends the process in any case.
    let mut server = program("unshare");
    if !nix::unistd::geteuid().is_root() {
        server.arg("--map-root-user");
    }
    let mut server = server
        .args([
            "--net",
            "sh",
            "-ec",
            "ip link set lo up; exec timeout 20 \"$@\"",
            "sh",
        ])
        .arg(program("turnserver").get_program())
        .args(["-c", &at("turnserver.conf").display().to_string()])
        .args(["--pidfile=", "--verbose"])
        .current_dir(directory.path())
        .env_remove("NOTIFY_SOCKET")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut log = String::new();
    // Its threads open listeners in any order.
    let mut serves = vec![format!("UDP listener opened on: 127.0.0.1:{port}")];
    if text.contains("cert=") {
        serves.push("TLS/TCP listener opened".to_owned());
    }
    let opened = |log: &str| serves.iter().all(|line| log.contains(line));
    for line in BufReader::new(server.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        log.push_str(&line);
        log.push('\n');
        if opened(&log) {
            break;
        }
    }
    kill(
        Pid::from_raw(server.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    server.wait().unwrap();
    assert!(opened(&log), "turnserver does not serve:\n{log}");
    log
}

fn certificate(path: &Path) {
    let output = program("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=example.test"])
        .arg("-keyout")
        .arg(path)
        .output()
        .unwrap();
    assert!(output.status.success());
    let both = [fs::read(path).unwrap(), output.stdout].concat();
    fs::write(path, both).unwrap();
}

/// turnserver reports an unknown option or an invalid value only as a line in its log.
#[test]
fn turnserver_accepts_the_configuration() {
    let tls = "tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key}";
    for (settings, port) in [
        (
            "coturn: {enabled: true, internal_ip: 127.0.0.1, port: 34781}",
            34781,
        ),
        (
            "coturn: {enabled: true, internal_ip: 127.0.0.1, external_ip: 198.51.100.7, port: 3480, tls_port: 5350, \
             min_port: 40000, max_port: 40099}",
            3480,
        ),
    ] {
        for tls in ["", tls] {
            let state = Setup::new("").settings(settings).settings(tls).state();
            let log = start(&state, port);
            let complaints: Vec<&str> = log
                .lines()
                .filter(|line| {
                    [
                        "bad",
                        "error",
                        "warning",
                        "cannot",
                        "unknown",
                        "wrong",
                        "unrecognized",
                    ]
                    .iter()
                    .any(|word| line.to_lowercase().contains(word))
                })
                .collect();
            assert!(complaints.is_empty(), "{complaints:#?}\n{log}");
            assert_eq!(
                log.contains("TLS/TCP listener opened"),
                !tls.is_empty(),
                "{log}"
            );
            let denied = log.matches("Black listing: ").count();
            assert!(denied >= SPECIAL.len() - 1, "{log}");
        }
    }
}

/// The ranges are from Synapse's docs/turn-howto.md and from known mistakes of other programs: a TURN server reaches
/// every address that its host reaches.
#[test]
fn peers_in_private_networks_are_denied() {
    let state = with_coturn("").state();
    let denied: BTreeSet<&str> = values(&state, "denied-peer-ip").into_iter().collect();
    for range in [
        "0.0.0.0-0.255.255.255",
        "10.0.0.0-10.255.255.255",
        "100.64.0.0-100.127.255.255",
        "127.0.0.0-127.255.255.255",
        "169.254.0.0-169.254.255.255",
        "172.16.0.0-172.31.255.255",
        "192.0.0.0-192.0.0.255",
        "192.0.2.0-192.0.2.255",
        "192.88.99.0-192.88.99.255",
        "192.168.0.0-192.168.255.255",
        "198.18.0.0-198.19.255.255",
        "198.51.100.0-198.51.100.255",
        "203.0.113.0-203.0.113.255",
        "240.0.0.0-255.255.255.255",
        "::1",
        "64:ff9b::-64:ff9b::ffff:ffff",
        "::ffff:0.0.0.0-::ffff:255.255.255.255",
        "100::-100::ffff:ffff:ffff:ffff",
        "2001::-2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::-2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fc00::-fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::-febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        assert!(denied.contains(range), "{range} not in {denied:?}");
    }
    // coturn reads each of these as every address, which would make all calls impossible.
    let every_address = ["::", "0.0.0.0", "0.0.0.0-0.0.0.0"];
    assert!(every_address.iter().all(|range| !denied.contains(range)));
    for option in [
        "no-multicast-peers",
        "no-cli",
        "no-tcp-relay",
        "fingerprint",
    ] {
        let mut lines = configuration(&state).lines();
        assert!(lines.any(|line| line == option), "{option}");
    }
}

#[test]
fn addresses_and_ports_follow_settings_and_host() {
    // Settings and the address of the default route, then the expected listening, relay, external and allowed
    // addresses.
    type Lists = [&'static [&'static str]; 4];
    let cases: &[(&str, Option<&str>, Lists)] = &[
        ("", None, [&[], &[], &[], &[]]),
        (
            "",
            Some("192.168.1.5"),
            [&[], &["192.168.1.5"], &[], &["192.168.1.5"]],
        ),
        ("", Some("8.8.8.8"), [&[], &["8.8.8.8"], &[], &[]]),
        (
            ", internal_ip: 10.0.0.2, external_ip: 8.8.4.4",
            Some("192.168.1.5"),
            [
                &["10.0.0.2"],
                &["10.0.0.2"],
                &["8.8.4.4/10.0.0.2"],
                &["10.0.0.2"],
            ],
        ),
        (
            ", external_ip: 8.8.4.4",
            None,
            [&[], &[], &["8.8.4.4"], &[]],
        ),
        (
            ", external_ip: 8.8.8.8",
            Some("8.8.8.8"),
            [&[], &["8.8.8.8"], &[], &[]],
        ),
    ];
    for (settings, address, lists) in cases {
        let mut setup = Setup::new("").settings(&format!("coturn: {{enabled: true{settings}}}"));
        setup.facts.address = address.map(|address| address.parse().unwrap());
        let state = setup.state();
        let options = ["listening-ip", "relay-ip", "external-ip", "allowed-peer-ip"];
        for (option, list) in options.iter().zip(lists) {
            assert_eq!(
                values(&state, option),
                *list,
                "{settings} {address:?} {option}"
            );
        }
    }
    let state = Setup::new("")
        .settings("coturn: {enabled: true, port: 3480, min_port: 50000, max_port: 50009}")
        .state();
    for (option, value) in [
        ("realm", "example.test"),
        ("listening-port", "3480"),
        ("min-port", "50000"),
        ("max-port", "50009"),
        // The quotas do not exceed the number of ports.
        ("total-quota", "10"),
        ("user-quota", "10"),
    ] {
        assert_eq!(values(&state, option), [value], "{option}");
    }
    assert_eq!(values(&with_coturn("").state(), "user-quota"), ["12"]);
}

#[test]
fn synapse_announces_the_turn_server() {
    let tls = "tls: {certificate: /a, key: /b}\ncoturn: {enabled: true, tls_port: 5350}";
    let cases: &[(&str, &[&str])] = &[
        ("", &[]),
        (
            "coturn: {enabled: true}",
            &[
                "turn:example.test:3478?transport=udp",
                "turn:example.test:3478?transport=tcp",
            ],
        ),
        (
            "public_baseurl: https://matrix.example.test:8443/x/\ncoturn: {enabled: true, port: 80}",
            &[
                "turn:matrix.example.test:80?transport=udp",
                "turn:matrix.example.test:80?transport=tcp",
            ],
        ),
        (
            tls,
            &[
                "turn:example.test:3478?transport=udp",
                "turn:example.test:3478?transport=tcp",
                "turns:example.test:5350?transport=tcp",
            ],
        ),
        ("turn: {uris: [\"turn:a.test\"]}", &["turn:a.test"]),
        (
            "turn: {uris: [\"turn:a.test\"]}\ncoturn: {enabled: true}",
            &["turn:a.test"],
        ),
    ];
    for (settings, uris) in cases {
        let state = Setup::new("").settings(settings).state();
        let options: Value = serde_yaml::from_str(text(&state, "synapse/homeserver.yaml")).unwrap();
        let found = options["turn_uris"].as_sequence();
        let found: Vec<&str> = found
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        assert_eq!(found, *uris, "{settings}");
        assert_eq!(
            options["turn_shared_secret_path"].is_string(),
            !uris.is_empty()
        );
        if !uris.is_empty() {
            assert_eq!(options["turn_allow_guests"].as_bool(), Some(false));
        }
    }
}

/// Debian's coturn was built without metrics. A coturn that has them serves them on this host only.
#[test]
fn metrics_come_from_coturn_or_the_exporter() {
    let unit = "synapse-coturn-exporter.service";
    let debian = with_coturn("").state();
    assert!(debian.units.contains(unit));
    assert!(!configuration(&debian).contains("prometheus"));
    let mut other = with_coturn("");
    other.facts.coturn.metrics = true;
    let other = other.state();
    assert!(!other.units.contains(unit));
    assert_eq!(values(&other, "prometheus-address"), ["127.0.0.1"]);
    assert_eq!(values(&other, "prometheus-port"), ["20006"]);
    let text = text(&debian, &format!("host/etc/systemd/system/{unit}"));
    assert!(
        text.contains("/exporter.py 20006 synapse-coturn 3478,5349 49153 49652\n"),
        "{text}"
    );
    let silent = Setup::new("").settings("coturn: {enabled: true}").state();
    assert!(!silent.units.contains(unit));
}

/// The secret is in a copy that only root can read and that systemd passes to coturn. No rendered file contains it.
#[test]
fn coturn_gets_its_secret_from_systemd() {
    let state = with_coturn("").state();
    let unit = text(&state, "host/etc/systemd/system/synapse-coturn.service");
    assert!(unit.contains(
        "\nLoadCredential=turnserver.conf:/etc/synapse-workers/secrets/turnserver.conf\n"
    ));
    assert!(!unit.contains("CAP_NET_BIND_SERVICE"));
    assert_eq!(
        values(&state, "static-auth-secret"),
        ["\"@turn_shared_secret@\""]
    );
    let low = Setup::new("")
        .settings("coturn: {enabled: true, port: 443}")
        .state();
    let unit = text(&low, "host/etc/systemd/system/synapse-coturn.service");
    assert!(unit.contains("\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"));
}
