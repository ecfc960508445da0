//! Warm start: which processes are forked and from which fork server, and when a fork server restarts.

use super::restarts::assert_jobs;
use super::sandbox::{UNITS, values};
use super::setup::{Setup, text};
use std::collections::BTreeSet;
use synapse_workers::state::State;
use synapse_workers::state::units;

const WORKERS: &str = "event_persister, pusher, synchrotron, media_repository";

fn warm(workers: &str) -> Setup {
    Setup::new(workers).settings("warm: {mode: fork}")
}

/// The unit of the fork server of each forked process, by the unit of the process.
fn forked(state: &State) -> Vec<(String, String)> {
    let drop_ins = state.files.keys().filter_map(|path| {
        let unit = path.strip_prefix(UNITS)?.strip_suffix(".d/50-warm.conf")?;
        Some((unit, path))
    });
    drop_ins
        .map(|(unit, path)| {
            let lines = text(state, path).lines();
            let server = lines.filter_map(|line| line.strip_prefix("Wants=")).next();
            (unit.to_owned(), server.unwrap().to_owned())
        })
        .collect()
}

fn servers(state: &State) -> BTreeSet<&str> {
    let units = state.units.iter().map(String::as_str);
    units.filter(|unit| units::is_fork_server(unit)).collect()
}

#[test]
fn without_the_setting_no_process_is_forked() {
    for settings in [
        "",
        "warm: {mode: off}",
        "warm: {mode: auto}\nsockets: {held: false}",
        "warm: {mode: auto}\nsockets: {public: false, replication: false}",
    ] {
        let state = Setup::new(WORKERS).settings(settings).state();
        assert_eq!((servers(&state), forked(&state)), Default::default());
    }
}

#[test]
fn auto_forks_from_four_processes_on() {
    for (workers, expected) in [("synchrotron:2", false), ("synchrotron:3", true)] {
        let state = Setup::new(workers).settings("warm: {mode: auto}").state();
        assert_eq!(!servers(&state).is_empty(), expected, "{workers}");
    }
}

#[test]
fn a_process_is_forked_from_the_server_with_its_network_access() {
    let state = warm(WORKERS).state();
    let (open, isolated) = (
        "synapse-warm@venv-1.163.2.service",
        "synapse-warm@venv-1.163.2-isolated.service",
    );
    let expected = [
        (units::MAIN, open),
        ("synapse-worker@event_persister1.service", open),
        ("synapse-worker@pusher1.service", open),
        ("synapse-worker@synchrotron1.service", isolated),
    ];
    let expected = expected.map(|(unit, server)| (unit.to_owned(), server.to_owned()));
    assert_eq!(forked(&state), expected);
    assert_eq!(servers(&state), BTreeSet::from([open, isolated]));
    let network = |unit: &str| text(&state, &format!("{UNITS}{unit}.d/50-network.conf"));
    assert_eq!(
        network(isolated),
        network("synapse-worker@synchrotron1.service")
    );
    // All others differ in what belongs to the control group.
    for key in [
        "ReadWritePaths",
        "RestrictAddressFamilies",
        "SystemCallFilter",
        "ProtectProc",
    ] {
        let main = values(&state, units::MAIN, key);
        assert_eq!(values(&state, units::WARM, key), main, "{key}");
    }
}

#[test]
fn a_synapse_of_the_host_has_one_name_whatever_its_path() {
    let state = warm("synchrotron").python("/opt/x y/bin/python").state();
    assert_eq!(
        servers(&state),
        BTreeSet::from(["synapse-warm@host-isolated.service"])
    );
}

/// The layout of addresses is the same in all processes of a fork server, which helps to attack a decoder.
#[test]
fn processes_that_decode_media_start_plainly() {
    let forks = |workers: &str| forked(&warm(workers).state()).into_iter();
    assert!(!forks(WORKERS).any(|(unit, _)| unit.contains("media_repository1")));
    assert!(!forks("synchrotron").any(|(unit, _)| unit == units::MAIN));
    assert!(!forks("a=media_repository+pusher").any(|(unit, _)| unit.contains("@a.")));
}

#[test]
fn a_fork_server_restarts_before_the_processes_and_only_if_its_memory_changes() {
    let base = || warm("event_persister, media_repository");
    let plain = Setup::new("event_persister, media_repository");
    for (from, to, expected, case) in [
        (
            plain.clone(),
            base(),
            "start warm@venv-1.163.2; restart main; restart event_persister1",
            "first warm start",
        ),
        (
            base(),
            plain,
            "restart main; restart event_persister1; stop warm@venv-1.163.2",
            "back to plain starts",
        ),
        (
            base(),
            base().own("a.yaml", "enable_search: false\n"),
            "restart main; restart event_persister1 media_repository1",
            "an option",
        ),
        (
            base(),
            base().settings("limits: {worker_memory: 2G}"),
            "restart event_persister1 media_repository1",
            "the memory of workers",
        ),
        (
            base(),
            base().settings("log_level: DEBUG"),
            "reload main; reload event_persister1 media_repository1",
            "the log level",
        ),
        (
            base(),
            warm("event_persister, media_repository, pusher"),
            "restart main; start pusher1",
            "a pusher",
        ),
    ] {
        assert_jobs(&from, &to, expected, case);
    }
}

#[test]
fn another_release_has_a_fork_server_of_its_own() {
    let of = |release: &str| {
        let lines = format!("synapse: {{version: {release}}}");
        warm("event_persister, media_repository").settings(&lines)
    };
    assert_jobs(
        &of("1.163.2"),
        &of("1.164.0"),
        "hold; stop nginx; stop warm@venv-1.163.2 event_persister1 media_repository1; stop main; start warm@venv-1.164.0; start main; \
         start event_persister1 media_repository1; start nginx",
        "another release",
    );
}
