//! The wrapper around the state compressor, run by a real Python: how it finds the database, and that it never prints
//! the password.

use super::setup::{Setup, text};
use super::validators::{program, run, shown};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Output;

/// A deployment with the state compressor.
pub fn with_compressor(workers: &str) -> Setup {
    Setup::new(workers).settings("database: {kind: local}\ncompressor: {enabled: true}")
}

/// A fake compressor that prints its arguments and logs the connection string as the real one would.
const COMPRESSOR: &str = "
import json, logging
def compress_state_events_table(*arguments):
    print(json.dumps(arguments))
    logging.getLogger('rust').error('Failed to connect to database at %s', arguments[0])
    raise RuntimeError('at ' + arguments[0] + ', caused by: nothing there')
";

/// Runs the wrapper on these configuration files of Synapse. They are JSON, which is also YAML and which Python parses
/// without another package.
fn compress(directory: &Path, configuration: &[(&str, serde_json::Value)]) -> Output {
    let at = |name: &str| directory.join(name);
    fs::write(
        at("run.py"),
        text(&with_compressor("").state(), "compressor/run.py"),
    )
    .unwrap();
    fs::write(at("synapse_auto_compressor.py"), COMPRESSOR).unwrap();
    fs::write(at("yaml.py"), "from json import load as safe_load\n").unwrap();
    for (name, contents) in configuration {
        fs::create_dir_all(at(name).parent().unwrap()).unwrap();
        fs::write(at(name), contents.to_string()).unwrap();
    }
    run(program("python3")
        .arg(at("run.py"))
        .args([at("adopted"), at("homeserver.yaml")])
        .current_dir(directory))
}

/// The connection string that the wrapper passed to the compressor.
fn connection_string(output: &Output) -> String {
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    let arguments: Vec<serde_json::Value> =
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", shown(output)));
    assert_eq!(arguments[1..], [json!(500), json!("100,50,25"), json!(100)]);
    arguments[0].as_str().unwrap().to_owned()
}

fn postgres(args: serde_json::Value) -> serde_json::Value {
    json!({"database": {"name": "psycopg2", "args": args}})
}

#[test]
fn the_compressor_connects_as_synapse_does() {
    let socket = json!({"dbname": "synapse", "user": "synapse", "host": "/run/postgresql", "port": 5432, "cp_max": 4});
    let there = tempfile::tempdir().unwrap();
    fs::create_dir(there.path().join("adopted")).unwrap();
    let output = compress(there.path(), &[("homeserver.yaml", postgres(socket))]);
    assert_eq!(
        connection_string(&output),
        "dbname='synapse' host='/run/postgresql' port='5432' user='synapse'"
    );

    // For an adopted server, the last file takes precedence. It may use libpq's aliases for keys, or omit most keys.
    let there = tempfile::tempdir().unwrap();
    let output = compress(
        there.path(),
        &[
            ("adopted/0.yaml", postgres(json!({"host": "old.test"}))),
            (
                "adopted/1.yaml",
                postgres(
                    json!({"database": "x", "user": "u", "password": "p", "host": "db.test", "sslmode": "require"}),
                ),
            ),
            ("homeserver.yaml", json!({})),
        ],
    );
    assert_eq!(
        connection_string(&output),
        "dbname='x' host='db.test' password='p' sslmode='require' user='u' port='5432'"
    );
}

#[test]
fn the_password_is_read_from_its_file_and_never_printed() {
    // The file escapes a colon and a backslash with a backslash; the connection string of the driver escapes a quote
    // and a backslash.
    for (line, value) in [
        (r"db.test:5433:synapse:synapse:s3cret", "s3cret"),
        (r"*:*:*:synapse:a\:b\\c d'e", r"a:b\\c d\'e"),
    ] {
        let there = tempfile::tempdir().unwrap();
        let passfile = there.path().join("pgpass");
        fs::write(&passfile, format!("else:1:a:b:c\n{line}\n")).unwrap();
        fs::create_dir(there.path().join("adopted")).unwrap();
        let args = json!({"dbname": "synapse", "user": "synapse", "host": "db.test", "port": 5433, "passfile": passfile});
        let output = compress(there.path(), &[("homeserver.yaml", postgres(args))]);
        assert!(
            connection_string(&output).ends_with(&format!(" password='{value}'")),
            "{}",
            connection_string(&output)
        );
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            log.contains("(left out)") && log.contains("nothing there"),
            "{log}"
        );
        let secret = line.rsplit(':').next().unwrap();
        for secret in [value, secret, "password="] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
    }
}

#[test]
fn unsupported_databases_are_refused_with_a_reason() {
    let verified = postgres(json!({"host": "db.test", "sslmode": "verify-full"}));
    for (configuration, reason) in [
        (
            json!({"database": {"name": "sqlite3"}}),
            "requires PostgreSQL",
        ),
        (json!({}), "requires PostgreSQL"),
        (
            verified,
            "cannot verify certificates, which sslmode verify-full requires",
        ),
    ] {
        let there = tempfile::tempdir().unwrap();
        fs::create_dir(there.path().join("adopted")).unwrap();
        let output = compress(there.path(), &[("homeserver.yaml", configuration)]);
        assert!(
            !output.status.success() && shown(&output).contains(reason),
            "{}",
            shown(&output)
        );
    }
}

#[test]
fn the_timer_has_the_calendar_of_the_settings() {
    let timer = "host/etc/systemd/system/synapse-compressor.timer";
    let state = with_compressor("").state();
    assert!(text(&state, timer).contains("\nOnCalendar=Sun 01:00\n"));
    let daily = Setup::new("")
        .settings("database: {kind: local}\ncompressor: {enabled: true, calendar: '*-*-* 03:30'}");
    assert!(text(&daily.state(), timer).contains("\nOnCalendar=*-*-* 03:30\n"));
}
