//! The log of requests: what it contains, and that fail2ban finds addresses in it with the filter in docs/logs.md.

use super::super::setup::{Setup, text};
use super::super::validators::{program, run, shown};
use super::accepted;
use super::running::Nginx;
use std::fs;
use synapse_workers::state::paths;

fn request(line: &str, from: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nX-Forwarded-For: {from}\r\nHost: x\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

/// The log of an nginx that answered these requests.
fn log(requests: &[Vec<u8>]) -> (Nginx, String) {
    // With a single process, the log lines are in the order of the requests.
    let lines = "nginx: {access_log: true, listen_unix_socket: /run/matrix/nginx.sock, worker_processes: 1}";
    let nginx = Nginx::start(Setup::new("").settings(lines));
    for request in requests {
        nginx.ask(request);
    }
    let log = nginx.eventually("a line for each request", || {
        let log = fs::read_to_string(nginx.path("requests.log")).ok()?;
        (log.lines().count() == requests.len()).then_some(log)
    });
    (nginx, log)
}

#[test]
fn the_log_has_addresses_and_results_but_no_secrets() {
    let (_nginx, log) = log(&[
        request(
            "GET /_matrix/client/v3/sync/200?access_token=hidden",
            "203.0.113.5",
        ),
        request("POST /_matrix/client/v3/login/403", "2001:db8::1"),
        request("POST /_matrix/cut", "203.0.113.5, 198.51.100.7"),
        request("GET /page\" 200 x", "203.0.113.5"),
        request(
            "POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/hidden/send",
            "203.0.113.5",
        ),
        request("GET /_synapse/client/rendezvous/hidden", "203.0.113.5"),
        b"GARBAGE\r\n\r\n".to_vec(),
    ]);
    assert!(!log.contains("hidden"), "{log}");
    let rest: Vec<String> = log
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').skip(1).collect();
            let time = words
                .iter()
                .rposition(|word| word.contains('.') && word.parse::<f64>().is_ok());
            words.remove(time.unwrap());
            words.join(" ")
        })
        .collect();
    for (line, (start, end)) in rest.iter().zip([
        ("203.0.113.5 \"GET /_matrix/client/v3/sync/200\" 200 ", " main \"200\""),
        ("2001:db8::1 \"POST /_matrix/client/v3/login/403\" 403 ", " main \"403\""),
        ("198.51.100.7 \"POST /_matrix/cut\" 502 ", " main \"502\""),
        ("127.0.0.1 \"", ""),
        ("203.0.113.5 \"POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/-\" 404 ", " main \"404\""),
        ("203.0.113.5 \"GET /_synapse/client/rendezvous/-\" 404 ", " main \"404\""),
        ("127.0.0.1 \"- \" 400 ", " nginx \"-\""),
    ]) {
        assert!(line.starts_with(start) && line.ends_with(end), "{start}…{end}\n{log}");
    }
    // Time zone included (ISO 8601), which fail2ban requires to compare times.
    let time = log.split(' ').next().unwrap();
    assert!(time.len() == 25 && time.contains('T'), "{time}");
}

/// The block of docs/logs.md that follows a line with this text.
fn documented(name: &str) -> String {
    let page = include_str!("../../../docs/logs.md");
    let (_, rest) = page.split_once(name).unwrap();
    let block = rest.split("```").next().unwrap();
    block.trim_start_matches(|letter| letter != '\n').to_owned()
}

#[test]
fn fail2ban_finds_refused_logins_only() {
    let (nginx, log) = log(&[
        request("POST /_matrix/client/v3/login/200", "203.0.113.1"),
        request("POST /_matrix/client/v3/login?403", "203.0.113.2"),
        request("POST /_matrix/client/r0/login?403", "2001:db8::3"),
        request("GET /_matrix/client/v3/login?403", "203.0.113.4"),
        // Neither a path nor an address that a client invents matches.
        request(
            "GET /x\"203.0.113.5\"POST/_matrix/client/v3/login\"403",
            "203.0.113.6",
        ),
    ]);
    // The fake process answers 404 to these; fail2ban reads what Synapse's 403 would leave.
    let log = log.replace("/login\" 404 ", "/login\" 403 ");
    fs::write(nginx.path("requests.log"), &log).unwrap();
    fs::write(
        nginx.path("filter.conf"),
        documented("filter.d/synapse-workers.conf"),
    )
    .unwrap();
    let output = run(program("fail2ban-regex")
        .args(["--out", "ip"])
        .args([nginx.path("requests.log"), nginx.path("filter.conf")]));
    let found = shown(&output);
    let found: Vec<&str> = found.split_whitespace().collect();
    assert_eq!(found, ["203.0.113.2", "2001:db8::3"], "{log}");
}

#[test]
fn the_log_exists_only_if_the_setting_asks_for_it() {
    let state = |lines: &str| Setup::new("small").settings(lines).state();
    for (lines, logs, rotated) in [
        ("{}", vec![], vec![]),
        (
            "metrics: {enabled: true}",
            vec![paths::ACCESS_LOG],
            vec![paths::ACCESS_LOG],
        ),
        (
            "nginx: {access_log: true}",
            vec![paths::REQUEST_LOG],
            vec![paths::REQUEST_LOG],
        ),
        (
            "nginx: {access_log: true, disable_logrotate: true}",
            vec![paths::REQUEST_LOG],
            vec![],
        ),
        (
            "nginx: {access_log: true}\nmetrics: {enabled: true}",
            vec![paths::ACCESS_LOG, paths::REQUEST_LOG],
            vec![paths::ACCESS_LOG, paths::REQUEST_LOG],
        ),
    ] {
        let state = state(if lines == "{}" { "" } else { lines });
        accepted(&state, lines);
        let configuration = text(&state, "nginx/nginx.conf");
        let directories = text(&state, "host/etc/tmpfiles.d/synapse-workers.conf");
        let logrotate = state.files.get("logrotate/access.conf");
        let logrotate = logrotate.map_or("", |file| std::str::from_utf8(&file.contents).unwrap());
        for path in [paths::ACCESS_LOG, paths::REQUEST_LOG] {
            let written = configuration.contains(&format!("access_log {path} "));
            assert_eq!(written, logs.contains(&path), "{lines}: {path}");
            assert_eq!(
                directories.contains(path),
                logs.contains(&path),
                "{lines}: {path}"
            );
            assert_eq!(
                logrotate.contains(path),
                rotated.contains(&path),
                "{lines}: {path}"
            );
        }
    }
}
