//! Warm start: which processes are forked and from which fork server, and when a fork server restarts.

use super::restarts::assert_jobs;
use super::sandbox::{UNITS, values};
use super::setup::{Setup, text};
use std::collections::BTreeSet;
use synapse_workers::render::warm::decision::{Decision, IMMORTAL, Mode};
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

/// The decision of `auto` for these workers on a host with these versions, as it is printed.
fn automatic(
    workers: &str,
    python: Option<(u32, u32)>,
    systemd: Option<u32>,
    settings: &str,
) -> String {
    let mut setup = Setup::new(workers).settings("warm: {mode: auto}");
    (setup.facts.python, setup.facts.systemd) = (python, systemd);
    let setup = setup.settings(settings);
    let decision = setup.with_input(Decision::of);
    let runs = !servers(&setup.state()).is_empty();
    assert_eq!(runs, decision.mode != Mode::Off, "{decision}");
    decision.to_string()
}

#[test]
fn auto_forks_where_tests_cover_the_host_and_from_four_processes_on() {
    let fork = "fork (warm.mode is auto)";
    let off = |reason: &str| format!("off (warm.mode is auto: {reason})");
    for (python, systemd) in [((3, 11), 252), ((3, 12), 255), ((3, 13), 257)] {
        let found = automatic("synchrotron:3", Some(python), Some(systemd), "");
        assert_eq!(found, fork, "{python:?} {systemd}");
    }
    let (python, systemd) = (Some((3, 13)), Some(257));
    let covered = "tests cover 3.11 to 3.13";
    for (workers, python, systemd, reason) in [
        (
            "synchrotron:2",
            python,
            systemd,
            "fewer than 4 processes run".to_owned(),
        ),
        (
            "full",
            Some((3, 14)),
            systemd,
            format!("CPython is 3.14, and the {covered}"),
        ),
        (
            "full",
            Some((3, 10)),
            systemd,
            format!("CPython is 3.10, and the {covered}"),
        ),
        (
            "full",
            None,
            systemd,
            format!("the version of CPython is unknown; the {covered}"),
        ),
        (
            "full",
            python,
            Some(258),
            "systemd is 258, and the tests cover 252 to 257".to_owned(),
        ),
        (
            "full",
            python,
            Some(251),
            "systemd is 251, and the tests cover 252 to 257".to_owned(),
        ),
    ] {
        assert_eq!(automatic(workers, python, systemd, ""), off(&reason));
    }
    let found = automatic("full", python, systemd, "sockets: {held: false}");
    assert_eq!(found, off("systemd opens no sockets of the processes"));
}

#[test]
fn immortal_is_fork_with_a_python_that_cannot_have_immortal_objects() {
    let of = |python| {
        let mut setup = Setup::new("full").settings("warm: {mode: immortal}");
        setup.facts.python = python;
        let unit = text(&setup.state(), &format!("{UNITS}{}", units::WARM)).to_owned();
        let decision = setup.with_input(Decision::of);
        assert_eq!(
            unit.contains(" --immortal "),
            decision.mode == Mode::Immortal
        );
        decision.to_string()
    };
    // An interpreter of an unknown version tests itself.
    for python in [Some((3, 12)), Some((3, 13)), None] {
        assert_eq!(of(python), "immortal (warm.mode is immortal)");
    }
    let expected =
        "fork (warm.mode is immortal: CPython is 3.11, and the tests cover 3.12 to 3.13)";
    assert_eq!(of(Some((3, 11))), expected);
}

#[test]
fn the_fork_server_makes_objects_immortal_with_the_same_versions() {
    let (first, last) = IMMORTAL.versions();
    let code = include_str!("../../packaging/launcher/warm_immortal.py");
    let line = code.lines().find(|line| line.starts_with("VERSIONS = "));
    let expected: Vec<String> = (first.1..=last.1)
        .map(|minor| format!("(3, {minor})"))
        .collect();
    assert_eq!(
        line.unwrap(),
        format!("VERSIONS = ({})", expected.join(", "))
    );
}

/// The directories that the process of a unit does not see.
fn hidden(state: &State, unit: &str) -> BTreeSet<String> {
    let file = format!("{unit}.d/50-network.conf");
    if !state.files.contains_key(&format!("{UNITS}{file}")) {
        return BTreeSet::new();
    }
    let values = values(state, &file, "InaccessiblePaths");
    let words = values.iter().flat_map(|value| value.split_whitespace());
    words.map(str::to_owned).collect()
}

/// The directory of the fork servers that a unit asks.
fn asked(state: &State, unit: &str) -> String {
    let starts = values(state, &format!("{unit}.d/50-warm.conf"), "ExecStart");
    let mut words = starts[1].split_whitespace();
    let socket = words.nth(1).unwrap();
    socket.split('/').take(4).collect::<Vec<_>>().join("/")
}

/// For each pair of classes: a process reaches the fork servers of its own class, and none with more network access.
#[test]
fn no_process_sees_a_fork_server_with_more_network_access() {
    let open = "/run/synapse-workers/warm-open".to_owned();
    let isolated = "/run/synapse-workers/warm-isolated".to_owned();
    let state = warm(WORKERS).state();
    for (unit, own, expected) in [
        (units::MAIN, &open, BTreeSet::new()),
        ("synapse-worker@pusher1.service", &open, BTreeSet::new()),
        (
            "synapse-worker@synchrotron1.service",
            &isolated,
            [open.clone()].into(),
        ),
    ] {
        assert_eq!(asked(&state, unit), *own, "{unit}");
        assert_eq!(hidden(&state, unit), expected, "{unit}");
        assert!(!expected.contains(own), "{unit}");
    }
    // A directory that is created later would be visible.
    let tmpfiles = text(&state, "host/etc/tmpfiles.d/synapse-workers.conf");
    for directory in [open, isolated] {
        assert!(
            tmpfiles.contains(&format!("\nd {directory} 0755 root root -\n")),
            "{directory}"
        );
    }
}

/// systemd moves a process into any control group of the same user that has `Delegate=yes`, and the limit to certain
/// addresses is one of the control group.
#[test]
fn a_process_that_reaches_certain_addresses_only_cannot_leave_its_control_group() {
    for endpoint in ["http://127.0.0.1:8090/", "http://192.0.2.7:8090/"] {
        let mas = format!("mas: {{endpoint: '{endpoint}'}}");
        let state = warm("full").settings(&mas).state();
        let drop_ins = state.files.keys().filter_map(|path| {
            let unit = path
                .strip_prefix(UNITS)?
                .strip_suffix(".d/50-network.conf")?;
            Some(unit)
        });
        let less: BTreeSet<&str> = drop_ins.collect();
        assert!(less.len() > 8, "{less:?}");
        for unit in &less {
            assert!(hidden(&state, unit).contains("/run/dbus"), "{unit}");
            assert_eq!(hidden(&state, unit).len(), 3, "{unit}");
            let delegated = format!("{UNITS}{unit}.d/50-warm.conf");
            assert!(!state.files.contains_key(&delegated), "{unit}");
        }
        assert_eq!(servers(&state).len(), 1);
        assert!(forked(&state).iter().any(|(unit, _)| unit == units::MAIN));
        let off = Setup::new("full").settings(&mas).state();
        for unit in less {
            assert_eq!(hidden(&off, unit), BTreeSet::new(), "{unit}");
        }
    }
}

#[test]
fn one_server_forks_processes_with_and_without_network_access() {
    let state = warm(WORKERS).state();
    let server = "synapse-warm@venv-1.163.2.service";
    let units = [
        units::MAIN,
        "synapse-worker@event_persister1.service",
        "synapse-worker@pusher1.service",
        "synapse-worker@synchrotron1.service",
    ];
    let expected = units.map(|unit| (unit.to_owned(), server.to_owned()));
    assert_eq!(forked(&state), expected);
    assert_eq!(servers(&state), BTreeSet::from([server]));
    let main = text(
        &state,
        &format!("{UNITS}synapse-main.service.d/50-warm.conf"),
    );
    assert!(main.contains("(warm.mode: fork)"), "{main}");
    // It may make two more calls, which it forbids itself before it forks.
    let mut calls = values(&state, units::MAIN, "SystemCallFilter");
    calls.push("mount capset");
    assert_eq!(values(&state, units::WARM, "SystemCallFilter"), calls);
    for key in ["ReadWritePaths", "RestrictAddressFamilies", "ProtectProc"] {
        let main = values(&state, units::MAIN, key);
        assert_eq!(values(&state, units::WARM, key), main, "{key}");
    }
}

/// For processes without network access only, and without capabilities.
#[test]
fn a_fork_server_may_make_the_namespaces_that_its_processes_need() {
    fn of_server<'a>(state: &'a State, key: &str) -> Vec<&'a str> {
        values(state, units::WARM, key)
    }
    let state = warm(WORKERS).state();
    let kinds = ["yes", "", "user net mnt ipc"];
    assert_eq!(of_server(&state, "RestrictNamespaces"), kinds);
    assert_eq!(of_server(&state, "AmbientCapabilities"), [""; 0]);
    assert_eq!(of_server(&state, "CapabilityBoundingSet"), [""]);
    let hide = "--hide /run/synapse-workers/warm-open ";
    assert!(of_server(&state, "ExecStart")[0].contains(hide));
    // These workers have network access.
    let state = warm("media_repository,pusher").state();
    assert_eq!(servers(&state).len(), 1);
    assert_eq!(of_server(&state, "RestrictNamespaces"), ["yes"]);
    assert!(!of_server(&state, "ExecStart")[0].contains("isolated"));
}

/// Python runs files below the home of its account while it starts, and every worker may write them.
#[test]
fn no_process_of_synapse_runs_python_files_of_its_account() {
    let state = warm(WORKERS).state();
    for unit in [units::MAIN, units::WORKERS, units::WARM] {
        let variables = values(&state, unit, "Environment");
        assert!(variables.contains(&"PYTHONNOUSERSITE=1"), "{unit}");
    }
}

#[test]
fn a_synapse_of_the_host_has_one_name_whatever_its_path() {
    let state = warm("synchrotron").python("/opt/x y/bin/python").state();
    let server = "synapse-warm@host.service";
    assert_eq!(servers(&state), BTreeSet::from([server]));
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
    let base_in = |mode: &str| {
        let mode = format!("warm: {{mode: {mode}}}");
        Setup::new("event_persister, media_repository").settings(&mode)
    };
    let base = || base_in("fork");
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
            base_in("immortal"),
            "restart warm@venv-1.163.2; restart main; restart event_persister1",
            "another mode",
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
