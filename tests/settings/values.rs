//! Tests every row from every source, the precedence of sources, and types that have a grammar.

use super::samples::*;

use synapse_workers::settings::table::ROWS;
use synapse_workers::settings::types::{DatabaseKind, ServerName};
use synapse_workers::settings::value::{Raw, Scalar};
use synapse_workers::settings::{Origin, new_file};
use synapse_workers::state::accounts;

#[test]
fn the_samples_name_every_row_and_no_default() {
    let sampled: Vec<&str> = SAMPLES.iter().map(|(key, ..)| *key).collect();
    let known: Vec<&str> = ROWS.iter().map(|row| row.key).collect();
    assert_eq!(sampled, known);
    for (key, good, _) in SAMPLES {
        let row = row(key);
        let explained = row.explanation.iter().all(|line| line.trim().len() > 10);
        assert!(explained && !row.explanation.is_empty(), "{key}");
        let default = row.default.map(|text| normal(key, text));
        assert_ne!(default, Some(normal(key, good)), "{key}");
    }
}

/// Every way to provide `text` for `key`, with the source that error messages name.
fn ways(key: &'static str, text: &str) -> Vec<(Given, String)> {
    let mut ways = Vec::new();
    let base = || {
        Given::file(if key == "server_name" {
            ""
        } else {
            "server_name: example.org"
        })
    };
    if !row(key).secret {
        let yaml = serde_json::to_string(text).expect("a string");
        let file = file_with(key, &yaml);
        let line = file.lines().count();
        ways.push((Given::file(file), format!("{FILE} line {line}")));
    }
    let flag = Given {
        flags: vec![("--flag", key, text.to_owned())],
        ..base()
    };
    ways.push((flag, "--flag".to_owned()));
    for name in row(key).env {
        let mut environment = base();
        environment
            .environment
            .insert((*name).to_owned(), text.to_owned());
        // A shell may set these variables for its own user, so the program ignores them in the environment.
        if !["UID", "GID"].contains(name) {
            ways.push((environment, format!("environment variable {name}")));
        }
        let mut env_file = base();
        env_file.env_file = Some(format!("# comment\r\n\r\nexport {name}=\"{text}\"\r\n"));
        ways.push((env_file, format!("synapse.env line 3, {name}")));
    }
    ways
}

#[test]
fn every_row_is_set_by_every_way_and_read_back() {
    for (key, good, _) in SAMPLES {
        for (given, place) in ways(key, good) {
            let loaded = given
                .accompanied(key)
                .load()
                .unwrap_or_else(|error| panic!("{key} by {place}: {error}"));
            assert_eq!(loaded.origins[key].to_string(), place);
            let expected = match row(key).secret {
                true => Some(Raw::Text((*good).to_owned())),
                false => normal(key, good),
            };
            assert_eq!(value_of(&loaded, key), expected, "{key} by {place}");
            let is_file = matches!(loaded.origins[key], Origin::File { .. });
            let written = loaded.to_write.iter().find(|(written, _)| written == key);
            assert_eq!(
                written.is_some(),
                !is_file && !row(key).secret,
                "{key} by {place}"
            );
        }
    }
}

#[test]
fn every_wrong_value_is_an_error_with_its_place() {
    for (key, _, bad) in SAMPLES {
        for (given, place) in ways(key, bad) {
            let error = given.error();
            assert!(
                error.starts_with(&format!("{place}: `{key}` cannot be ")),
                "{error}"
            );
            assert!(!error.contains('\n') && !error.contains("bells"), "{error}");
        }
    }
    let overridden = Given {
        flags: vec![("--http-port", "http_port", "80".to_owned())],
        ..Given::file("server_name: a\nhttp_port: x")
    };
    assert!(
        overridden.error().contains("line 2"),
        "{}",
        overridden.error()
    );
}

#[test]
fn flag_beats_environment_beats_env_file_beats_file_beats_default() {
    let mut given = Given::file("server_name: example.org\n");
    let mut seen = Vec::new();
    for step in 0..5 {
        match step {
            0 => {}
            1 => given.file = Some("server_name: example.org\nhttp_port: 1001\n".to_owned()),
            2 => given.env_file = Some("SYNAPSE_HTTP_PORT=1\nSYNAPSE_HTTP_PORT=1002".to_owned()),
            3 => drop(
                given
                    .environment
                    .insert("SYNAPSE_HTTP_PORT".into(), "1003".into()),
            ),
            _ => given
                .flags
                .push(("--http-port", "http_port", "1004".to_owned())),
        }
        let loaded = given.load().expect("right settings");
        seen.push((
            loaded.settings.http_port.get(),
            loaded.origins["http_port"].to_string(),
        ));
    }
    let expected = [
        (8008, "the default".to_owned()),
        (1001, format!("{FILE} line 2")),
        (1002, "synapse.env line 2, SYNAPSE_HTTP_PORT".to_owned()),
        (1003, "environment variable SYNAPSE_HTTP_PORT".to_owned()),
        (1004, "--http-port".to_owned()),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_is_given_is_to_be_written_unless_the_file_says_the_same() {
    let mut given =
        Given::file("server_name: example.org\nworkers: [pusher]\nmax_upload_size: 1024M\n");
    given.environment = [
        ("SYNAPSE_MAX_UPLOAD_SIZE", "1G"),
        ("SYNAPSE_WORKER_TYPES", " pusher ,synchrotron:2"),
        ("SYNAPSE_LOG_LEVEL", "info"),
        ("SYNAPSE_PUBLIC_BASEURL", ""),
        ("POSTGRES_PASSWORD", "hunter2"),
        ("SYNAPSE_SOMETHING", "else"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let loaded = given.load().expect("right settings");
    let expected = [
        ("workers", r#"["pusher", "synchrotron:2"]"#.to_owned()),
        ("log_level", "INFO".to_owned()),
    ];
    assert_eq!(loaded.to_write, expected);
    assert_eq!(loaded.settings.workers.0, ["pusher", "synchrotron:2"]);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(!new_file(&loaded.settings).contains("hunter2"));
    assert!(loaded.notes.is_empty());

    let none = Given {
        flags: vec![("--workers", "workers", String::new())],
        ..given
    };
    let loaded = none.load().expect("right settings");
    assert_eq!(loaded.settings.workers.0, [""; 0]);
    assert_eq!(loaded.to_write[0], ("workers", "[]".to_owned()));
}

#[test]
fn server_names_follow_the_grammar_of_matrix() {
    let long = format!("{}.org", "a".repeat(227));
    let right = [
        "localhost",
        "example.org",
        "Example.org",
        "1.2.3.4:8448",
        "[::1]",
        "[1234:5678::abcd]:5678",
    ];
    let wrong = [
        "",
        "exa mple.org",
        "example.org/",
        "example.org:",
        "example.org:0",
        "a:65536",
        "a:b",
        "::1",
        "[::1",
        "[]",
        "[1.2.3.4]",
        "a..b",
        ".a",
        "a\n",
        "a_b",
        "https://a",
        "a;b",
        "%i",
        &long,
    ];
    for name in right {
        assert!(ServerName::parse(name).is_ok(), "{name}");
    }
    for name in wrong {
        assert!(ServerName::parse(name).is_err(), "{name}");
    }
    let noted = Given::file("server_name: Example.org")
        .load()
        .expect("right settings");
    assert!(
        noted.notes[0].contains("capital letters"),
        "{:?}",
        noted.notes
    );
}

#[test]
fn accounts_that_give_nothing_away_are_taken() {
    for user in accounts::OURS
        .iter()
        .map(|account| account.name)
        .chain(["root", "postgres"])
    {
        let given = Given::file(format!("server_name: a\nsynapse: {{user: {user}}}\n"));
        let error = given.load().unwrap_err().to_string();
        assert!(
            error.contains("`synapse.user`") && error.contains("leave `synapse.user` empty"),
            "{error}"
        );
    }
    for fine in [
        "synapse: {user: matrix-synapse}",
        "database: {user: matrix, host: /run/postgresql}",
        // The superuser of PostgreSQL on another host has no rights on this one.
        "database: {user: postgres, host: db.test}",
        "database: {user: postgres, kind: sqlite}",
    ] {
        let given = Given::file(format!("server_name: a\n{fine}\n"));
        assert!(given.load().is_ok(), "{fine}");
    }
}

#[test]
fn the_kind_of_database_follows_host_and_workers() {
    let cases = [
        ("", true, DatabaseKind::Local),
        ("", false, DatabaseKind::Sqlite),
        ("database: {host: db}", false, DatabaseKind::External),
        ("database: {kind: local}", false, DatabaseKind::Local),
    ];
    for (text, workers, expected) in cases {
        let given = Given::file(format!("server_name: a\n{text}"));
        let settings = given.load().expect("right settings").settings;
        assert_eq!(settings.database.decided(workers), expected, "{text}");
    }
}
