//! The requests of verification, sent to a fake process of Synapse.

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};
use synapse_workers::converge::verify::{Entrypoint, Expected, nginx_answers, servers};
use synapse_workers::deployment::endpoints::Endpoint;
use synapse_workers::host::postgres::Access;
use synapse_workers::host::redis::Server;
use synapse_workers::host::{Peer, get, get_repeated};

/// Answers one connection with each of these statuses, and returns the requests.
fn process(path: &Path, statuses: &'static [u16]) -> (Peer, JoinHandle<Vec<String>>) {
    let listener = UnixListener::bind(path).unwrap();
    let peer = Peer::At(Endpoint::Socket(path.display().to_string()));
    let thread = spawn(move || {
        let answer = |status: &u16| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            write!(stream, "HTTP/1.1 {status} x\r\n\r\n{{}}").unwrap();
            String::from_utf8(bytes[..count].to_vec()).unwrap()
        };
        statuses.iter().map(answer).collect()
    });
    (peer, thread)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Synapse logs a warning for a forwarded request without a protocol, and for a body that is no JSON. A JSON list is
/// refused by every endpoint, so it has no effect.
#[test]
fn probes_look_like_requests_that_nginx_forwards() {
    let directory = tempfile::tempdir().unwrap();
    let (peer, requests) = process(&directory.path().join("s"), &[200; 5]);
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH"];
    for method in methods {
        get(&peer, method, "/x", soon()).unwrap();
    }
    for (method, request) in methods.iter().zip(requests.join().unwrap()) {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("{method} /x HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(
            head.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nX-Forwarded-Proto: https\r\n"), "{head}");
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
            "{head}"
        );
        assert_eq!(body, if *method == "GET" { "" } else { "[]" }, "{method}");
        let json = head.contains("\r\nContent-Type: application/json\r\n");
        assert_eq!(json, *method != "GET", "{head}");
    }
}

#[test]
fn an_error_of_the_server_is_repeated_until_the_repetitions_are_used_up() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let ask = |statuses, mut repetitions: u32, name| {
        let (peer, requests) = process(&at(name), statuses);
        let answer = get_repeated(&peer, "GET", "/x", &mut repetitions, soon()).unwrap();
        (answer.status, requests.join().unwrap().len(), repetitions)
    };
    // Two stale connections to PostgreSQL.
    assert_eq!(ask(&[500, 500, 401], 4, "a"), (401, 3, 2));
    assert_eq!(ask(&[500, 500, 500], 2, "b"), (500, 3, 0));
    assert_eq!(ask(&[404], 2, "c"), (404, 1, 2));
}

#[test]
fn a_postgresql_that_does_not_answer_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let expected = Expected {
        database: Some(Access {
            host: directory.path().display().to_string(),
            user: None,
            ..Access::superuser(5432)
        }),
        // It runs as a unit of this program, whose line names it.
        redis: Some(Server::Own(None)),
        ..Expected::default()
    };
    let found = servers(&expected, soon());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].0 == "PostgreSQL" && found[0].1.is_err(),
        "{found:?}"
    );
    assert!(servers(&Expected::default(), soon()).is_empty());
}

/// A process behind nginx that does not answer has a line of its own.
#[test]
fn nginx_answers_with_whatever_status() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let expected = Expected {
        entrypoints: vec![Entrypoint::Socket(path.display().to_string())],
        ..Expected::default()
    };
    assert!(!nginx_answers(&expected, soon()));
    let (_, requests) = process(&path, &[502]);
    assert!(nginx_answers(&expected, soon()));
    requests.join().unwrap();
}
