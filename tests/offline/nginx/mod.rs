//! The rendered nginx configuration, checked by nginx: every topology and every entrypoint.

mod answers;
mod certificate;
mod challenge;
mod hosts;
mod logrotate;
mod mas;
mod proxied;
mod requests;
mod running;
mod settings;
mod site;
mod users;

use super::setup::{SPECS, Setup, text};
use super::validators::{program, run, shown};
use std::fs;
use std::path::Path;
use std::process::Command;
use synapse_workers::state::State;
use synapse_workers::state::nginx_fingerprint;
use synapse_workers::state::paths;

/// Sets the version of this machine's nginx, which determines how HTTP/2 is enabled.
pub fn on_this_machine(mut setup: Setup) -> Setup {
    let text = shown(&run(program("nginx").arg("-v")));
    let version = text.trim().split('/').nth(1).unwrap();
    let mut numbers = version
        .split(['.', ' '])
        .map(|number| number.parse().unwrap());
    setup.facts.nginx = (numbers.next().unwrap(), numbers.next().unwrap());
    setup
}

/// Writes a key and a self-signed certificate for it.
pub fn certificate(key: &Path, certificate: &Path) {
    let output = run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-subj", "/CN=example.test", "-days", "2", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate));
    assert!(output.status.success(), "{}", shown(&output));
}

/// Asserts that `nginx -t` accepts the configuration without a warning.
pub fn accepted(state: &State, case: &str) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let place = directory.path().display().to_string();
    if text(state, "nginx/nginx.conf").contains("ssl_certificate") {
        certificate(&at("key.pem"), &at("certificate.pem"));
        let pair = ["certificate.pem", "key.pem"].map(|name| fs::read_to_string(at(name)).unwrap());
        fs::write(at("pair.pem"), pair.concat()).unwrap();
    }
    for (path, file) in &state.files {
        let Some(name) = path.strip_prefix("nginx/") else {
            continue;
        };
        let text = String::from_utf8(file.contents.clone()).unwrap();
        let text = text
            .replace(
                "/var/lib/synapse-workers/tls/synapse-nginx.pem",
                &format!("{place}/pair.pem"),
            )
            .replace(paths::ACCESS_LOG, &format!("{place}/access.log"))
            .replace(paths::REQUEST_LOG, &format!("{place}/requests.log"))
            .replace("/run/matrix/", &format!("{place}/"));
        fs::write(at(name), text).unwrap();
    }
    let output = run(program("nginx")
        .args([
            "-t",
            "-e",
            "stderr",
            "-p",
            &format!("{place}/"),
            "-c",
            "nginx.conf",
        ])
        .args(["-g", &format!("pid {place}/nginx.pid;")]));
    let text = shown(&output);
    assert!(
        output.status.success() && !text.contains("[warn]"),
        "{case}\n{text}"
    );
}

#[test]
fn nginx_accepts_every_topology() {
    let longest = "a-name-of-48-characters-is-the-longest-there-is1=synchrotron:100";
    for spec in SPECS.iter().chain(&[longest]) {
        accepted(&Setup::new(spec).state(), spec);
    }
}

#[test]
fn nginx_has_every_entrypoint_of_the_settings() {
    let tls = "tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key, port: 8443}\nhttp_federation_port: 8018";
    let setup = on_this_machine(Setup::new("small").settings(tls));
    accepted(&setup.state(), tls);
    for (version, options, http2) in [((1, 22), " ssl http2", false), ((1, 26), " ssl", true)] {
        let mut setup = setup.clone();
        setup.facts.nginx = version;
        let state = setup.state();
        let listen = text(&state, "nginx/listen.conf");
        for part in [
            format!("listen 0.0.0.0:8443{options};"),
            format!("listen 0.0.0.0:8448{options};"),
            "listen 0.0.0.0:8018;".to_owned(),
        ] {
            assert!(listen.contains(&part), "{part}\n{listen}");
        }
        assert_eq!(listen.contains("http2 on;"), http2, "{listen}");
    }
    let state = setup.state();
    assert!(state.units.contains("synapse-certificate.path"));
    let path = text(&state, "host/etc/systemd/system/synapse-certificate.path");
    let watched: Vec<&str> = path
        .lines()
        .filter_map(|line| line.strip_prefix("PathChanged="))
        .collect();
    assert_eq!(watched, ["/etc/ssl"]);
    let service = text(
        &state,
        "host/etc/systemd/system/synapse-certificate.service",
    );
    assert!(
        service
            .contains("--certificate /etc/ssl/a.pem --key /etc/ssl/a.key synapse-nginx.service\n"),
        "{service}"
    );
}

#[test]
fn nginx_serves_the_delegation_to_other_servers() {
    for (url, place) in [
        ("https://matrix.example.test", "matrix.example.test:443"),
        (
            "https://matrix.example.test:8443/",
            "matrix.example.test:8443",
        ),
        (
            "https://matrix.example.test/path",
            "matrix.example.test:443",
        ),
        ("https://[2001:db8::12]/", "[2001:db8::12]:443"),
    ] {
        let setup = |serve: bool| {
            let lines = format!("public_baseurl: {url}\nserve_server_wellknown: {serve}");
            Setup::new("").settings(&lines).state()
        };
        let delegation = format!("return 200 '{{\"m.server\":\"{place}\"}}';");
        assert!(
            text(&setup(true), "nginx/nginx.conf").contains(&delegation),
            "{delegation}"
        );
        assert!(!text(&setup(false), "nginx/nginx.conf").contains("m.server"));
        accepted(&setup(true), url);
    }
}

#[test]
fn nginx_reports_the_fingerprint_of_its_configuration() {
    let fingerprint = |state: &State| {
        let (conf, listen) = (
            text(state, "nginx/nginx.conf"),
            text(state, "nginx/listen.conf"),
        );
        let there = nginx_fingerprint::fingerprint(conf, listen);
        let line = conf.lines().find(|line| line.contains("fingerprint"));
        let answer = line.unwrap().trim().trim_start_matches("return 200 '");
        // nginx will report the fingerprint that the files have, although one of the files contains it.
        assert_eq!(nginx_fingerprint::reported(answer), Some(there.as_str()));
        there
    };
    let (small, full) = (Setup::new("small"), Setup::new("full").state());
    assert_ne!(fingerprint(&small.state()), fingerprint(&full));
    let other_port = Setup::new("full").settings("http_port: 8009").state();
    assert_ne!(fingerprint(&other_port), fingerprint(&full));
    let (conf, listen) = (
        text(&full, "nginx/nginx.conf"),
        text(&full, "nginx/listen.conf"),
    );
    assert_ne!(
        nginx_fingerprint::fingerprint(&format!("{conf}# edited\n"), listen),
        fingerprint(&full)
    );
    assert_eq!(nginx_fingerprint::reported("<html>"), None);
}
