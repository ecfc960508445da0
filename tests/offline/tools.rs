//! The tools of the host: atomic replacement of files, programs and their errors, and requests over sockets.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use synapse_workers::deployment::endpoints::Endpoint;
use synapse_workers::host::{self, Answer, Peer, Tool};

#[test]
fn files_are_replaced_atomically_and_a_missing_file_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    assert_eq!(host::read(at("none")).unwrap(), None);
    host::remove(at("none")).unwrap();
    assert!(host::names(at("none")).is_empty());

    for (contents, mode) in [("one", 0o600), ("two", 0o644), ("three", 0o640)] {
        host::replace(at("deep/er/file"), contents.as_bytes(), mode).unwrap();
        assert_eq!(
            host::read_text(at("deep/er/file")).unwrap().as_deref(),
            Some(contents)
        );
        let found = fs::metadata(at("deep/er/file"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(found & 0o7777, mode);
        // No temporary file is left behind.
        assert_eq!(host::names(at("deep/er")), ["file"]);
    }
    for number in ["1", "2"] {
        host::replace_link(at("link"), &format!("deep/{number}")).unwrap();
        assert_eq!(
            fs::read_link(at("link")).unwrap().display().to_string(),
            format!("deep/{number}")
        );
    }
    assert_eq!(host::names(directory.path()), ["deep", "link"]);

    fs::write(at("bytes"), b"\xff").unwrap();
    for (error, message) in [
        (host::read_text(at("bytes")).map(drop), "bytes is not UTF-8"),
        (host::read(at("deep")).map(drop), "cannot read"),
        (host::remove(at("deep")), "cannot remove"),
        (host::replace(at("bytes/file"), b"", 0o644), "cannot write"),
    ] {
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn the_error_of_a_failed_program_ends_with_its_last_output() {
    let shell = |script: &str| Tool::new("sh").args(["-c", script]);
    assert_eq!(shell("cat").input("secret").run().unwrap(), "secret");
    assert_eq!(shell("echo \"$A\"").env("A", "b").run().unwrap(), "b\n");
    assert_eq!(shell("pwd").run().unwrap(), "/\n");
    // A program that ignores its input has not failed.
    assert_eq!(
        shell("exec true").input(vec![0; 100_000]).run().unwrap(),
        ""
    );
    let error = shell("seq 100; echo why >&2; exit 3")
        .run()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("exit status: 3") && error.ends_with("why"),
        "{error}"
    );
    assert!(!error.contains("    50\n"), "only the end: {error}");
    let error = Tool::new("no-such-program").run().unwrap_err().to_string();
    assert!(error.contains("cannot run no-such-program"), "{error}");
    let error = shell("").user("no-such-user").err().unwrap().to_string();
    assert!(error.contains("no user no-such-user"), "{error}");
}

#[test]
fn programs_run_in_a_clean_environment_with_limits() {
    let shell = |script: &str| Tool::new("/bin/sh").args(["-c", script]);
    // The environment has three variables that this program sets, and those that the shell adds.
    let names = shell("env | cut -d= -f1 | sort | tr '\\n' ' '")
        .run()
        .unwrap();
    assert_eq!(names, "LANG PATH PWD TMPDIR ");
    // The program has its own session without a terminal, and no new privileges (proc_pid_stat(5), proc_pid_status(5)).
    let stat =
        shell("read -r _ _ _ _ _ session terminal _ </proc/self/stat; echo $$ $session $terminal");
    let stat = stat.run().unwrap();
    let words: Vec<&str> = stat.split_whitespace().collect();
    assert_eq!(words[2], "0", "{stat}");
    assert_ne!(words[1], own_session(), "{stat}");
    let status = shell("grep NoNewPrivs /proc/self/status").run().unwrap();
    assert_eq!(status, "NoNewPrivs:\t1\n");

    // The processes that it started end with it.
    let late = shell("sleep 1000 & wait").within(Duration::from_millis(100));
    let error = late.output().unwrap_err().to_string();
    assert!(error.contains("did not end within"), "{error}");
    let error = shell("yes").output().unwrap_err().to_string();
    assert!(error.contains("printed more than"), "{error}");

    // Root runs only programs that no other account can replace.
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    fs::write(&program, "#!/bin/sh\necho ran\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(Tool::new(&program).run().unwrap(), "ran\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o777)).unwrap();
    let error = Tool::new(&program).run().unwrap_err().to_string();
    assert!(
        error.contains("an account other than root could replace"),
        "{error}"
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(Tool::new(&program).run().is_err());
}

/// The session of this process.
fn own_session() -> String {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(") ").unwrap().1;
    after.split_whitespace().nth(3).unwrap().to_owned()
}

/// A deadline that no answer in these tests exceeds.
fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Answers one connection; returns the request.
fn answering(path: &std::path::Path, answer: &'static str) -> JoinHandle<String> {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1000];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    })
}

#[test]
fn probes_speak_http_and_the_redis_protocol() {
    let directory = tempfile::tempdir().unwrap();
    for (number, (answer, status, has_servlet)) in [
        ("HTTP/1.1 200 OK\r\n\r\nOK", Some(200), true),
        (
            "HTTP/1.1 401 Unauthorized\r\n\r\n{\"errcode\":\"M_MISSING_TOKEN\"}",
            Some(401),
            true,
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n{\"errcode\":\"M_NOT_FOUND\"}",
            Some(404),
            true,
        ),
        (
            "HTTP/1.1 404 Not Found\r\n\r\n{\"errcode\":\"M_UNRECOGNIZED\"}",
            Some(404),
            false,
        ),
        ("HTTP/1.1 405 Method Not Allowed\r\n\r\n", Some(405), false),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", Some(502), false),
        ("", None, false),
        ("SSH-2.0-OpenSSH\r\n", None, false),
    ]
    .into_iter()
    .enumerate()
    {
        let path = directory.path().join(number.to_string());
        let server = answering(&path, answer);
        let got = host::get(
            &Peer::At(Endpoint::Socket(path.to_str().unwrap().to_owned())),
            "PUT",
            "/_matrix/x?y=z",
            deadline(),
        );
        let request = server.join().unwrap();
        assert!(
            request.starts_with("PUT /_matrix/x?y=z HTTP/1.1\r\n"),
            "{request}"
        );
        // Synapse logs a warning if the second of these headers is missing.
        let origin = "\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n";
        assert!(request.contains(origin), "{request}");
        assert_eq!(
            got.as_ref().ok().map(|answer| answer.status),
            status,
            "{answer}: {got:?}"
        );
        assert_eq!(
            got.is_ok_and(|answer| Answer::has_servlet(&answer)),
            has_servlet,
            "{answer}"
        );
    }
    for (name, reply, expected) in [
        ("a", "+PONG\r\n", Some(&["PONG"][..])),
        ("b", ":12\r\n", Some(&["12"])),
        (
            "c",
            "*2\r\n$7\r\nexample\r\n:3\r\n",
            Some(&["example", "3"]),
        ),
        ("d", "-NOAUTH Authentication required.\r\n", None),
        ("e", "", None),
    ] {
        let path = directory.path().join(name);
        let server = answering(&path, reply);
        let got = host::redis::ask(
            path.to_str().unwrap(),
            None,
            "PUBSUB NUMSUB example",
            deadline(),
        );
        assert_eq!(server.join().unwrap(), "PUBSUB NUMSUB example\r\n");
        match expected {
            Some(elements) => assert_eq!(got.unwrap(), elements),
            None => drop(got.unwrap_err()),
        }
    }
    let gone = directory.path().join("gone");
    let error = host::get(
        &Peer::At(Endpoint::Socket(gone.to_str().unwrap().to_owned())),
        "GET",
        "/",
        deadline(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot connect to"), "{error}");
}

/// A peer that a compromised account put in the place of a process. It sends data until the client closes the
/// connection.
fn endless_peer(path: &std::path::Path, head: &'static str, pause: Duration) -> JoinHandle<u64> {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut sent = 0;
        while let Ok(written) = stream.write(if pause.is_zero() { &[b'x'; 4096] } else { b"x" }) {
            sent += written as u64;
            std::thread::sleep(pause);
        }
        sent
    })
}

#[test]
fn an_endless_answer_is_limited_in_size_and_time() {
    let directory = tempfile::tempdir().unwrap();
    let peer = |name: &str| {
        let path = directory.path().join(name);
        let peer = Peer::At(Endpoint::Socket(path.to_str().unwrap().to_owned()));
        (path, peer)
    };
    const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";
    let (path, endless) = peer("endless");
    let server = endless_peer(&path, OK, Duration::ZERO);
    let error = format!(
        "{:#}",
        host::get(&endless, "GET", "/health", deadline()).unwrap_err()
    );
    assert!(error.contains("more than 1048576 bytes"), "{error}");
    assert!(server.join().unwrap() < 8 << 20, "it was read on");

    // A request for the status alone does not store the body, and does not wait for it forever either.
    let (path, endless) = peer("endless-status");
    let server = endless_peer(&path, OK, Duration::ZERO);
    let error = format!(
        "{:#}",
        host::status(&endless, "/metrics", deadline()).unwrap_err()
    );
    assert!(error.contains("more than 67108864 bytes"), "{error}");
    server.join().unwrap();

    for (name, head) in [("in-body", OK), ("in-head", "HTTP/1.1 2")] {
        let (path, dripping) = peer(name);
        let server = endless_peer(&path, head, Duration::from_millis(20));
        let end = Instant::now() + Duration::from_millis(300);
        let error = format!("{:#}", host::status(&dripping, "/health", end).unwrap_err());
        assert!(
            error.contains("no complete answer in time"),
            "{name}: {error}"
        );
        assert!(server.join().unwrap() > 0, "{name}: nothing dripped");
    }

    let (path, redis) = (directory.path().join("redis"), "redis");
    let server = endless_peer(&path, "*2\r\n", Duration::from_millis(20));
    let end = Instant::now() + Duration::from_millis(300);
    let error = host::redis::ask(path.to_str().unwrap(), None, "PING", end).unwrap_err();
    assert!(
        format!("{error:#}").contains("no complete answer in time"),
        "{redis}: {error:#}"
    );
    server.join().unwrap();
}

#[test]
fn the_status_of_a_large_answer_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics");
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1000]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        stream.write_all(&vec![b'#'; 4 << 20]).unwrap();
    });
    let peer = Peer::At(Endpoint::Socket(path.to_str().unwrap().to_owned()));
    assert_eq!(host::status(&peer, "/metrics", deadline()).unwrap(), 200);
    server.join().unwrap();
}
