//! The program that a unit with a warm start executes: whatever fails, the process starts, once.

mod host;

use super::bus::Daemon;
use host::{FORKED, GOOD, Host, Manager, PLAIN, SERVER, Seen, UNIT, run, systemd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::channel;
use std::time::Duration;

/// Longer than the program waits for others.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Asserts that the process started plainly, for this reason, and that a forked one was not released.
fn assert_plain(seen: &Seen, reason: &str) {
    assert!(seen.succeeded, "{}", seen.errors);
    assert!(seen.output.starts_with("plain "), "{}", seen.errors);
    assert!(seen.output.ends_with(" 2\n"), "{}", seen.output);
    assert!(
        seen.errors.contains("a plain start, because"),
        "{}",
        seen.errors
    );
    assert!(seen.errors.contains(reason), "{}", seen.errors);
    // The fake fork server reads to the end of the connection, if there was one.
    if let Ok((_, _, after)) = seen.request.recv_timeout(Duration::from_secs(1)) {
        assert_eq!(after, b"", "{reason}");
    }
}

#[test]
fn a_forked_process_becomes_the_main_process_of_its_unit() {
    let seen = run(GOOD);
    assert!(seen.succeeded, "{}", seen.errors);
    assert_eq!((seen.output.as_str(), seen.errors.as_str()), ("", ""));
    let attached = seen.attached.recv_timeout(TIMEOUT).unwrap();
    assert_eq!(attached, (UNIT.to_owned(), vec![FORKED]));
    let (request, descriptors, after) = seen.request.recv_timeout(TIMEOUT).unwrap();
    assert_eq!((descriptors, &after[..]), (5, &b"go"[..]));
    assert_eq!(request["arguments"], serde_json::json!(["sh", "-c", PLAIN]));
    assert_eq!(request["environment"]["LISTEN_FDS"], "2");
    let directory = std::env::current_dir().unwrap();
    assert_eq!(request["directory"], directory.to_str().unwrap());
    for (file, line) in [("status", "Umask:"), ("limits", "Max open files")] {
        assert!(request[file].as_str().unwrap().contains(line), "{file}");
    }
    assert!(request["oom_score_adj"].is_number());
}

#[test]
fn a_refused_process_starts_plainly() {
    let refused = Host {
        answer: Some("no the file x has changed"),
        ..GOOD
    };
    let seen = run(refused);
    assert_plain(&seen, "the fork server refuses: the file x has changed");
    assert!(seen.attached.try_recv().is_err());
    assert_plain(
        &run(Host {
            answer: Some(""),
            ..GOOD
        }),
        "gave no process",
    );
}

#[test]
fn a_process_that_would_inherit_something_else_starts_plainly_and_is_not_requested() {
    let seen = run(Host { nicer: 5, ..GOOD });
    assert_plain(
        &seen,
        "Nice= of the unit differs from that of the fork server",
    );
    assert!(seen.request.try_recv().is_err());
    let seen = run(Host {
        state: "failed",
        ..GOOD
    });
    assert_plain(&seen, "synapse-warm@venv.service is failed");
    assert!(seen.request.try_recv().is_err());
}

#[test]
fn a_process_that_systemd_does_not_accept_is_not_released() {
    let seen = run(Host {
        accepts: false,
        ..GOOD
    });
    assert_plain(&seen, "systemd did not accept process 4000000");
}

#[test]
fn a_frozen_fork_server_delays_the_plain_start_for_seconds_only() {
    let seen = run(Host {
        answer: None,
        ..GOOD
    });
    assert_plain(&seen, "the fork server does not answer");
    assert!(seen.seconds < TIMEOUT.as_secs_f64(), "{}", seen.seconds);
}

#[test]
fn without_systemd_or_a_fork_server_the_process_starts_plainly() {
    for (bus, reason) in [
        (false, "systemd cannot be reached"),
        (true, "/nowhere cannot be reached"),
    ] {
        let daemon = Daemon::new();
        let main = Arc::new(AtomicU32::new(0));
        let _systemd = systemd(&daemon, Manager(channel().0), &main, GOOD);
        let address = if bus {
            &daemon.address
        } else {
            "unix:path=/nowhere"
        };
        let done = Command::new(env!("CARGO_BIN_EXE_warm-start"))
            .args(["/nowhere", SERVER, UNIT, "echo", "plain"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", address)
            .output()
            .unwrap();
        let errors = String::from_utf8(done.stderr).unwrap();
        assert_eq!(
            String::from_utf8(done.stdout).unwrap(),
            "plain\n",
            "{errors}"
        );
        assert!(errors.contains(reason), "{errors}");
    }
}

#[test]
fn a_program_that_cannot_be_executed_has_systemd_s_own_status() {
    for arguments in [
        &["/nowhere", SERVER, UNIT, "/nowhere/python"][..],
        &["/nowhere"],
    ] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_warm-start"));
        let done = program
            .args(arguments)
            .env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(203));
        assert!(!done.stderr.is_empty());
    }
}
