//! Tests every row from every source, the precedence of sources, and types that have a grammar.

use super::samples::*;

use synapse_workers::settings::table::ROWS;
use synapse_workers::settings::types::{DatabaseKind, ServerName};
use synapse_workers::settings::value::{Raw, Scalar};
use synapse_workers::settings::{Origin, new_file};
use synapse_workers::state::accounts;

#[test]
fn every_row_has_a_sample_that_is_not_its_default() {
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
fn ways(key: &'static str, text: &str) -> Vec<(Provided, String)> {
    let mut ways = Vec::new();
    let base = || {
        Provided::file(if key == "server_name" {
            ""
        } else {
            "server_name: example.org"
        })
    };
    if !row(key).secret {
        let yaml = serde_json::to_string(text).expect("a string");
        let file = file_with(key, &yaml);
        let line = file.lines().count();
        ways.push((Provided::file(file), format!("{FILE} line {line}")));
    }
    let flag = Provided {
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
fn every_row_is_set_by_every_source_and_read_back() {
    for (key, good, _) in SAMPLES {
        for (provided, place) in ways(key, good) {
            let loaded = provided
                .with_companions(key)
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
fn every_wrong_value_is_refused_with_its_source() {
    for (key, _, bad) in SAMPLES {
        for (provided, place) in ways(key, bad) {
            let error = provided.error();
            assert!(
                error.starts_with(&format!("{place}: `{key}` cannot be ")),
                "{error}"
            );
            assert!(!error.contains('\n') && !error.contains("bells"), "{error}");
        }
    }
    let overridden = Provided {
        flags: vec![("--http-port", "http_port", "80".to_owned())],
        ..Provided::file("server_name: a\nhttp_port: x")
    };
    assert!(
        overridden.error().contains("line 2"),
        "{}",
        overridden.error()
    );
}

#[test]
fn flags_override_environment_env_file_file_and_defaults() {
    let mut provided = Provided::file("server_name: example.org\n");
    let mut seen = Vec::new();
    for step in 0..5 {
        match step {
            0 => {}
            1 => provided.file = Some("server_name: example.org\nhttp_port: 1001\n".to_owned()),
            2 => provided.env_file = Some("SYNAPSE_HTTP_PORT=1\nSYNAPSE_HTTP_PORT=1002".to_owned()),
            3 => drop(
                provided
                    .environment
                    .insert("SYNAPSE_HTTP_PORT".into(), "1003".into()),
            ),
            _ => provided
                .flags
                .push(("--http-port", "http_port", "1004".to_owned())),
        }
        let loaded = provided.load().expect("valid settings");
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
fn provided_values_are_written_unless_the_file_has_them() {
    let mut provided =
        Provided::file("server_name: example.org\nworkers: [pusher]\nmax_upload_size: 1024M\n");
    provided.environment = [
        ("SYNAPSE_MAX_UPLOAD_SIZE", "1G"),
        ("SYNAPSE_WORKER_TYPES", " pusher ,synchrotron:2"),
        ("SYNAPSE_LOG_LEVEL", "info"),
        ("SYNAPSE_PUBLIC_BASEURL", ""),
        ("POSTGRES_PASSWORD", "hunter2"),
        ("SYNAPSE_SOMETHING", "else"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let loaded = provided.load().expect("valid settings");
    let expected = [
        ("workers", r#"["pusher", "synchrotron:2"]"#.to_owned()),
        ("log_level", "INFO".to_owned()),
    ];
    assert_eq!(loaded.to_write, expected);
    assert_eq!(loaded.settings.workers.0, ["pusher", "synchrotron:2"]);
    assert!(!format!("{loaded:?}").contains("hunter2"));
    assert!(!new_file(&loaded.settings).contains("hunter2"));
    assert!(loaded.notes.is_empty());

    let none = Provided {
        flags: vec![("--workers", "workers", String::new())],
        ..provided
    };
    let loaded = none.load().expect("valid settings");
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
    for (key, text) in [
        ("server_name", "münchen.example"),
        ("public_baseurl", "https://münchen.example/"),
        ("database.host", "münchen.example"),
        ("email.smtp_host", "münchen.example"),
    ] {
        let reason = row(key)
            .normal(&Raw::Text(text.to_owned()))
            .unwrap_err()
            .reason;
        assert!(
            reason.contains("xn--") && reason.contains("idn2"),
            "{key}: {reason}"
        );
    }
    let noted = Provided::file("server_name: Example.org")
        .load()
        .expect("valid settings");
    assert!(
        noted.notes[0].contains("capital letters"),
        "{:?}",
        noted.notes
    );
}

#[test]
fn reserved_accounts_are_refused_and_others_accepted() {
    for user in accounts::OURS
        .iter()
        .map(|account| account.name)
        .chain(["root", "postgres"])
    {
        let provided = Provided::file(format!("server_name: a\nsynapse: {{user: {user}}}\n"));
        let error = provided.load().unwrap_err().to_string();
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
        let provided = Provided::file(format!("server_name: a\n{fine}\n"));
        assert!(provided.load().is_ok(), "{fine}");
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
        let provided = Provided::file(format!("server_name: a\n{text}"));
        let settings = provided.load().expect("valid settings").settings;
        assert_eq!(settings.database.decided(workers), expected, "{text}");
    }
}
