//! The log of Synapse's processes, run by a real Python: each line begins with its priority for the journal.

use super::setup::{Setup, text};
use super::validators::{program, run, shown};
use std::fs;
use synapse_workers::state::paths;

const MODULE: &str = "synapse/python/journal_log.py";
const UNITS: &[&str] = &["synapse-main.service", "synapse-worker@.service"];

/// Configures logging as Synapse does (config/logger.py), from a file in JSON, and runs these statements.
const LOGGING: &str = "
import json, logging, logging.config, sys
make = logging.getLogRecordFactory()
def factory(*arguments, **options):
    record = make(*arguments, **options)
    record.request = 'GET-1'
    return record
logging.setLogRecordFactory(factory)
logging.config.dictConfig(json.load(open(sys.argv[1])))
log = logging.getLogger('synapse.test')
";

/// The lines that reach the journal, for a generation of these settings.
fn lines(setup: &Setup, statements: &str) -> Vec<String> {
    let state = setup.state();
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let log: serde_json::Value = serde_yaml::from_str(text(&state, "synapse/log.yaml")).unwrap();
    fs::write(at("log.json"), log.to_string()).unwrap();
    fs::write(at("journal_log.py"), text(&state, MODULE)).unwrap();
    let output = run(program("python3")
        .arg("-c")
        .arg(format!("{LOGGING}{statements}"))
        .arg(at("log.json"))
        .env("PYTHONPATH", directory.path()));
    assert!(output.status.success(), "{}", shown(&output));
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_line_begins_with_the_priority_of_its_record() {
    let setup = Setup::new("").settings("log_level: DEBUG");
    for (statement, priority) in [
        ("log.debug('x')", "<7>"),
        ("log.info('x')", "<6>"),
        ("log.warning('x')", "<4>"),
        ("log.error('x')", "<3>"),
        ("log.critical('x')", "<2>"),
        ("log.log(25, 'x')", "<6>"),
        // Text of a client does not set the priority of a line.
        ("log.warning('a\\n<0>b\\r\\n\\n<1>c')", "<4>"),
    ] {
        let lines = lines(&setup, statement);
        let wrong = lines.iter().find(|line| !line.starts_with(priority));
        assert_eq!(wrong, None, "{statement}: {lines:?}");
        assert!(lines[0].contains("synapse.test - "), "{lines:?}");
    }
}

#[test]
fn every_line_of_a_traceback_has_the_priority_of_its_record() {
    let trace = "
try:
    raise ValueError('one\\ntwo')
except ValueError:
    log.exception('failed')
log.info('later')
";
    let lines = lines(&Setup::new(""), trace);
    assert!(lines[0].ends_with(" - failed"), "{lines:?}");
    assert_eq!(lines[1], "<3>Traceback (most recent call last):");
    let (last, trace) = lines.split_last().unwrap();
    assert!(
        trace.iter().all(|line| line.starts_with("<3>")),
        "{lines:?}"
    );
    assert_eq!(trace[trace.len() - 2..], ["<3>ValueError: one", "<3>two"]);
    assert!(last.starts_with("<6>"), "{last}");
}

/// journald splits a line at NUL and after 48 KiB, and would read a priority from the text that follows.
#[test]
fn the_journal_splits_no_line_before_text_of_a_client() {
    let lines = lines(
        &Setup::new(""),
        "log.warning('a\\0<0>b'); log.warning('\\U0001F980' * 50_000 + '<0>' * 50_000)",
    );
    assert!(lines[0].ends_with(" - a\\0<0>b"), "{lines:?}");
    assert!(lines.iter().all(|line| line.starts_with("<4>")));
    assert!(lines.iter().all(|line| line.len() <= 48 << 10));
    let text: String = lines[1..].iter().map(|line| &line["<4>".len()..]).collect();
    assert_eq!(text.matches('🦀').count(), 50_000);
    assert_eq!(text.matches("<0>").count(), 50_000);
}

/// With and without socket activation, hence with and without the launcher.
#[test]
fn every_process_can_import_the_formatter() {
    for more in ["", "log_to_disk: true", "sockets: {held: false}"] {
        let state = Setup::new("small").settings(more).state();
        assert!(state.files.contains_key(MODULE), "{more}");
        let directory = format!("{}/synapse/python", paths::CURRENT);
        for unit in UNITS {
            let unit = text(&state, &format!("host{}/{unit}", paths::UNITS));
            let lines = [
                &format!("Environment=PYTHONPATH={directory}"),
                "SyslogLevel=warning",
                "SyslogLevelPrefix=yes",
            ];
            for line in lines {
                assert!(unit.lines().any(|it| it == line), "{more}: {line}: {unit}");
            }
        }
        let logs = state
            .files
            .keys()
            .filter(|path| path.starts_with("synapse/logs/") || *path == "synapse/log.yaml");
        for log in logs {
            assert!(
                text(&state, log).contains("class: journal_log.Formatter"),
                "{log}"
            );
        }
    }
}

/// Lines of another formatter have no priority, and a client may write `<0>` at the start of one.
#[test]
fn a_log_configuration_of_the_administrator_is_not_touched() {
    let own = "version: 1\nroot: {level: INFO, handlers: []}\n";
    let mut setup = Setup::new("small").settings("log_config: /etc/log.yaml");
    setup.referenced.log_config = Some(own.into());
    let state = setup.state();
    assert_eq!(text(&state, "synapse/own-log.yaml"), own);
    assert!(!state.files.contains_key(MODULE));
    for unit in UNITS {
        let unit = text(&state, &format!("host{}/{unit}", paths::UNITS));
        assert!(unit.contains("\nSyslogLevelPrefix=no\n"), "{unit}");
        assert!(
            !unit.contains("PYTHONPATH") && !unit.contains("SyslogLevel="),
            "{unit}"
        );
    }
}
