//! Settings as an administrator meets them: every row by every way, errors with their place,
//! the commented file, and edits that keep the rest.

use std::collections::BTreeMap;
use std::path::Path;

use synapse_workers::settings::file::read;
use synapse_workers::settings::table::ROWS;
use synapse_workers::settings::types::{DatabaseKind, ServerName};
use synapse_workers::settings::value::{Raw, Scalar};
use synapse_workers::settings::{
    Loaded, Origin, Row, SettingsError, Sources, edit_file, load, new_file,
};

/// For every key a value that is not the default, and one that is wrong.
const SAMPLES: &[(&str, &str, &str)] = &[
    (
        "server_name",
        "matrix.example.org:8448",
        "matrix.example.org/x",
    ),
    ("report_stats", "Yes", "maybe"),
    ("public_baseurl", "https://m.example.org/", "m.example.org"),
    ("workers", "synchrotron:2, pusher", "a\u{1}b"),
    ("http_port", "8080", "65536"),
    ("bind_addresses", "10.0.0.1, fe80::1", "10.0.0.256"),
    ("trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/33"),
    ("max_upload_size", "1g", "50X"),
    ("media_store_path", "/srv/media store", "media"),
    ("log_level", "debug", "LOUD"),
    ("postgres_password", "no: 'secret'", "two\u{7}bells"),
    ("caches.global_factor", "1.25", "-1"),
    ("database.kind", "sqlite", "mysql"),
    ("database.host", "/run/postgresql", "db;drop"),
    ("database.port", "5433", "0"),
    ("database.name", "matrix", "matrix\"db"),
    ("database.user", "off", "1user"),
    ("database.password_file", "/etc/pw", "../pw"),
    ("database.cp_min", "2", "0"),
    ("database.cp_max", "10", "101"),
    (
        "synapse.python",
        "/opt/venvs/matrix-synapse/bin/python",
        "python3",
    ),
    ("synapse.version", "1.170.0rc1", "latest"),
    ("synapse.jemalloc", "off", "2"),
    ("limits.main_memory", "2G", "2X"),
    ("limits.worker_memory", "512M", "-1"),
    ("limits.tasks", "1024", "015"),
    ("nginx.worker_processes", "4", "0"),
    ("nginx.worker_connections", "4096", "many"),
    ("nginx.proxy_read_timeout", "90", "90 minutes"),
];

const FILE: &str = "/etc/synapse-workers/settings.yaml";

/// Sources under construction.
#[derive(Default)]
struct Given {
    file: Option<String>,
    env_file: Option<String>,
    environment: BTreeMap<String, String>,
    flags: Vec<(&'static str, &'static str, String)>,
}

impl Given {
    fn file(text: impl Into<String>) -> Self {
        Self {
            file: Some(text.into()),
            ..Self::default()
        }
    }

    fn load(&self) -> Result<Loaded, SettingsError> {
        load(&Sources {
            file: self.file.as_deref().map(|text| (Path::new(FILE), text)),
            env_file: self
                .env_file
                .as_deref()
                .map(|text| (Path::new("synapse.env"), text)),
            environment: &self.environment,
            flags: &self.flags,
        })
    }

    fn error(&self) -> String {
        self.load().expect_err("refused").to_string()
    }
}

fn row(key: &str) -> &'static Row {
    Row::of(key).unwrap_or_else(|| panic!("{key} is a setting"))
}

/// The usual form of a value given as text.
fn normal(key: &str, text: &str) -> Option<Raw> {
    row(key)
        .normal(&Raw::Text(text.to_owned()))
        .expect("a right value")
}

/// `key: value` as a file of its own, with a server name.
fn file_with(key: &str, yaml: &str) -> String {
    let name = if key == "server_name" {
        ""
    } else {
        "server_name: example.org\n"
    };
    match key.split_once('.') {
        Some((section, inner)) => format!("{name}{section}:\n  {inner}: {yaml}\n"),
        None => format!("{name}{key}: {yaml}\n"),
    }
}

/// A value of loaded settings, read from the file that would be written for them.
fn value_of(loaded: &Loaded, key: &str) -> Option<Raw> {
    if key == "postgres_password" {
        let secret = loaded.settings.postgres_password.as_ref()?;
        return Some(Raw::Text(secret.reveal().to_owned()));
    }
    let document = read(Path::new(FILE), &new_file(&loaded.settings)).expect("our own file");
    let raw = document.entry(row(key))?.raw.clone()?;
    row(key).normal(&raw).expect("our own value")
}

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

/// Every way to give `text` for `key`, with the place that messages name.
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
        ways.push((environment, format!("environment variable {name}")));
        let mut env_file = base();
        env_file.env_file = Some(format!("# comment\r\n\r\nexport {name}=\"{text}\"\r\n"));
        ways.push((env_file, format!("synapse.env line 3, {name}")));
    }
    ways
}

#[test]
fn every_row_is_set_by_every_way_and_read_back() {
    for (key, good, _) in SAMPLES {
        for (mut given, place) in ways(key, good) {
            if *key == "database.cp_min" {
                given
                    .flags
                    .push(("--x", "database.cp_max", "20".to_owned()));
            }
            let loaded = given
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
fn a_file_that_cannot_be_right_is_refused_with_its_line() {
    let line = |number: usize, rest: &str| format!("{FILE} line {number}: {rest}");
    let many = format!("workers: [{}]", "a,".repeat(600_000));
    let cases = [
        (
            "server_name: a\n\n# é\ndatabse:\n",
            line(4, "unknown setting `databse`, did you mean `database`?"),
        ),
        (
            "database:\n  hots: x\n",
            line(
                2,
                "unknown setting `database.hots`, did you mean `database.host`?",
            ),
        ),
        (
            "database.host: x\n",
            line(
                1,
                "unknown setting `database.host`, write it as `host:` in the section `database:`",
            ),
        ),
        (
            "enable_registration: true\n",
            line(
                1,
                "unknown setting `enable_registration`, options of Synapse itself",
            ),
        ),
        ("5: x\n", line(1, "unknown setting `5`")),
        (
            "http_port: 1\nlog_level: INFO\n'http_port': 2\n",
            line(3, "`http_port` is set a second time"),
        ),
        (
            "database:\n  port: 1\n  port: 2\n",
            line(3, "`database.port` is set a second time"),
        ),
        (
            "caches:\ncaches:\n",
            line(2, "`caches` is set a second time"),
        ),
        (
            "server_name: a\nhttp_port: [1]\n",
            line(2, "`http_port` is written as another type"),
        ),
        (
            "http_port:\n  a: 1\n",
            line(2, "`http_port` is written as another type"),
        ),
        (
            "workers: {a: 1}\n",
            line(1, "`workers` is written as another type"),
        ),
        (
            "workers: 5\n",
            line(1, "`workers` is written as another type"),
        ),
        (
            "workers:\n  - pusher\n  - synchrotron: 2\n",
            line(3, "expected a text here"),
        ),
        (
            "database: local\n",
            line(1, "the section `database` must be keys with values"),
        ),
        (
            "trusted_proxies:\n  - ::1\n  - ::x\n",
            line(3, "`trusted_proxies` cannot be \"::x\""),
        ),
        (
            "bind_addresses: [\"::\", \"::\"]\n",
            line(1, "`bind_addresses` cannot be \"::\": :: is listed twice"),
        ),
        (
            "media_store_path: \"/a\\nb\"\n",
            line(
                1,
                "`media_store_path` cannot be \"/a\\nb\": control characters",
            ),
        ),
        (
            "postgres_password: x\n",
            line(1, "`postgres_password` does not belong into this file"),
        ),
        (
            "just words\n",
            line(1, "the settings must be keys with values"),
        ),
        ("- a\n", line(1, "the settings must be keys with values")),
        ("[a]: b\n", line(1, "expected a text here")),
        (
            "server_name: a\ndatabase:\n\thost: b\n",
            line(3, "indented with a tab"),
        ),
        (
            "server_name: 'a\n",
            line(
                2,
                "this is not YAML: found unexpected end of stream, while scanning a quoted scalar at line 1",
            ),
        ),
        ("server_name: a\n b: c: d\n", line(2, "this is not YAML")),
        (
            "server_name: *a\n",
            line(1, "this is not YAML: unknown anchor"),
        ),
        (
            "log_level: INFO\nserver_name: a\u{7}\n",
            line(2, "control characters are not allowed"),
        ),
        (
            "server_name: a\n---\nserver_name: b\n",
            line(2, "a second YAML document"),
        ),
        (&many, format!("{FILE}: larger than 1 MiB")),
        (
            "server_name: a\ndatabase:\n  cp_min: 9\n",
            line(3, "`database.cp_min` is 9, more than"),
        ),
        (
            "server_name: a\ndatabase:\n  kind: sqlite\n  host: b\n",
            line(4, "`database.host` is b, but `database.kind` is sqlite"),
        ),
        (
            "server_name: a\ndatabase:\n  kind: external\n",
            line(3, "`database.kind` is external, but"),
        ),
        (
            "",
            format!("server_name is not set; give --server-name NAME, or set it in {FILE}"),
        ),
        (
            "server_name:\n",
            format!("server_name is not set; give --server-name NAME, or set it in {FILE}"),
        ),
        ("server_name: ''\n", line(1, "`server_name` cannot be \"\"")),
    ];
    for (text, expected) in cases {
        let error = Given::file(text).error();
        assert!(
            error.starts_with(&expected),
            "{error}\nexpected: {expected}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn yaml_bombs_are_refused_at_once() {
    let mut nested = "a: &a0 [x, x]\n".to_owned();
    for level in 1..40 {
        nested += &format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1);
    }
    let deep = |word: &str| {
        format!(
            "server_name: a\nworkers:\n  {}",
            word.repeat(900_000 / word.len())
        )
    };
    let wide = format!(
        "workers: &a [{}]\nbind_addresses: [{}]\n",
        "x,".repeat(1000),
        "*a,".repeat(1000)
    );
    let long = [
        "[", "{", "- ", "? ", "a: ", "{a: ", "&a ", "!a ", "[a, ", "*a ", "'a' ",
    ];
    let texts = [nested, wide].into_iter().chain(long.map(deep));
    for text in texts {
        let start = std::time::Instant::now();
        let refused = Given::file(text.clone()).load().map(|_| ());
        let spent = start.elapsed();
        assert!(spent.as_secs() < 5, "{spent:?}: {}", &text[..60]);
        let error = refused.expect_err(&text[..60]).to_string();
        assert!(error.contains(" line ") && error.len() < 400, "{error}");
    }
}

#[test]
fn the_new_file_loads_as_the_same_settings() {
    let defaults = Given::file("server_name: example.org")
        .load()
        .expect("right settings");
    let mut given = Given::default();
    let samples = SAMPLES
        .iter()
        .filter(|(key, ..)| !["postgres_password", "database.kind"].contains(key));
    given.flags = samples
        .map(|(key, good, _)| ("--x", *key, (*good).to_owned()))
        .collect();
    let everything = given.load().expect("right settings");
    for loaded in [defaults, everything] {
        let text = new_file(&loaded.settings);
        let again = Given::file(text.clone()).load().expect("our own file");
        assert_eq!(again.settings, loaded.settings, "{text}");
        for row in ROWS.iter().filter(|row| !row.secret) {
            let name = row.key.rsplit('.').next().expect("a name");
            let key_line = text
                .lines()
                .position(|line| line.trim().starts_with(&format!("{name}:")));
            let above = text
                .lines()
                .nth(key_line.expect("every key") - 1)
                .expect("a comment");
            assert!(above.trim().starts_with('#'), "{text}");
        }
        assert!(
            text.lines()
                .all(|line| line.len() <= 120 && line.trim_end() == line),
            "{text}"
        );
    }
}

const ODD: &str = "\
# vim: ts=2
---
\"server_name\" :   example.org   # our name, ü
workers: [\"pusher\",   # one
  'synchrotron:2' ]
#http_port: 8008

'database':
    # where
    host:   \"db.example.org\"	# the host
    #port: 5432
# end of database
limits: {tasks: 600, main_memory: 1G}  # tight
nginx:
trusted_proxies:
- \"10.0.0.0/8\" # ours
# and
- ::1
media_store_path:
  /srv/media
log_level: !!str INFO";

#[test]
fn an_edit_changes_what_it_should_in_any_file() {
    let defaults = Given::file("server_name: example.org")
        .load()
        .expect("right settings");
    let crlf = ODD.replace('\n', "\r\n");
    let documented = new_file(&defaults.settings);
    let texts = [
        "server_name: example.org",
        "  server_name: a\n",
        ODD,
        &crlf,
        &documented,
    ];
    for text in texts {
        for (key, good, _) in SAMPLES
            .iter()
            .filter(|(key, ..)| *key != "postgres_password")
        {
            let before = read(Path::new(FILE), text).expect("the old file");
            let value = normal(key, good);
            let yaml = row(key).yaml(value.as_ref());
            let edited = edit_file(Path::new(FILE), text, &[(key, yaml)]);
            let edited = edited.unwrap_or_else(|error| panic!("{key}: {error}\n{text}"));
            let after = read(Path::new(FILE), &edited).expect("the new file");
            for row in ROWS {
                let raw = |document: &synapse_workers::settings::file::Document| {
                    document.entry(row).and_then(|entry| entry.raw.clone())
                };
                let expected = if row.key == *key {
                    value.clone()
                } else {
                    raw(&before)
                };
                assert_eq!(raw(&after), expected, "{key}: {edited}");
            }
            let kept = |line: &&str| line.contains('#');
            for comment in text.lines().filter(kept) {
                let words = &comment[comment.find('#').expect("a comment")..];
                let replaced = *key == "workers" && words == "# one";
                assert!(
                    replaced || edited.contains(words),
                    "{key}: {words}\n{edited}"
                );
            }
            let crlf_only = edited.matches('\n').count() == edited.matches("\r\n").count();
            assert_eq!(
                crlf_only,
                text.contains("\r\n") || !edited.contains('\n'),
                "{key}: {edited:?}"
            );
        }
    }
}

#[test]
fn edits_keep_every_other_byte() {
    let list = "workers:\n  # reads\n  - synchrotron:2   # two\n  - pusher # push\n\n  - \"appservice\"\nhttp_port: 1\n";
    let cases = [
        (
            "a one",
            "server_name: a # c\n",
            "server_name",
            "b.example.org",
            "server_name: b.example.org # c\n",
        ),
        (
            "a number",
            "http_port:  1\t# c\n",
            "http_port",
            "2",
            "http_port:  2\t# c\n",
        ),
        (
            "quotes",
            "database: {name: 'it''s', port: 1}\n",
            "database.name",
            "x",
            "database: {name: x, port: 1}\n",
        ),
        (
            "nothing",
            "http_port: # c\n",
            "http_port",
            "2",
            "http_port: 2 # c\n",
        ),
        (
            "null",
            "http_port: ~ # c\n",
            "http_port",
            "2",
            "http_port: 2 # c\n",
        ),
        (
            "unset",
            "public_baseurl: https://a/ # c\n",
            "public_baseurl",
            "",
            "public_baseurl: # c\n",
        ),
        (
            "commented out",
            "# http_port: 1\n# rest\n",
            "http_port",
            "2",
            "# http_port: 1\nhttp_port: 2\n# rest\n",
        ),
        (
            "commented out inside",
            "database:\n   # port: 1\n   name: x\nhttp_port: 1\n",
            "database.port",
            "2",
            "database:\n   # port: 1\n   port: 2\n   name: x\nhttp_port: 1\n",
        ),
        (
            "document end",
            "server_name: a\n...\n",
            "http_port",
            "2",
            "http_port: 2\nserver_name: a\n...\n",
        ),
        (
            "empty list",
            "workers: [] # c\nhttp_port: 1\n",
            "workers",
            "[\"pusher\"]",
            "workers: # c\n  - \"pusher\"\nhttp_port: 1\n",
        ),
        (
            "commas",
            "workers: a, b # c",
            "workers",
            "[\"a\"]",
            "workers: # c\n  - \"a\"\n",
        ),
        (
            "apostrophes",
            "workers: ['a', b's] # c\n",
            "workers",
            "[\"a\"]",
            "workers: [\"a\"] # c\n",
        ),
        (
            "flow list",
            "workers: [a,\n  b]\n",
            "workers",
            "[\"a\"]",
            "workers: [\"a\"]\n",
        ),
        (
            "no list",
            list,
            "workers",
            "[]",
            "workers: []\n  # reads\n\nhttp_port: 1\n",
        ),
        (
            "item",
            list,
            "workers",
            "[\"synchrotron:3\", \"pusher\", \"appservice\"]",
            &list.replace("synchrotron:2", "\"synchrotron:3\""),
        ),
        (
            "item less",
            list,
            "workers",
            "[\"synchrotron:2\", \"appservice\"]",
            &list.replace("  - pusher # push\n", ""),
        ),
        (
            "item more",
            list,
            "workers",
            "[\"synchrotron:2\", \"pusher\", \"appservice\", \"to_device\"]",
            &list.replace("\"appservice\"\n", "\"appservice\"\n  - \"to_device\"\n"),
        ),
        (
            "item first",
            list,
            "workers",
            "[\"x\", \"synchrotron:2\", \"pusher\", \"appservice\"]",
            &list.replace("  - synchrotron", "  - \"x\"\n  - synchrotron"),
        ),
    ];
    for (name, text, key, yaml, expected) in cases {
        let edited = edit_file(Path::new(FILE), text, &[(key, yaml.to_owned())]);
        assert_eq!(edited.as_deref(), Ok(expected), "{name}");
    }
}

#[test]
fn an_edit_that_could_change_more_is_refused() {
    let cases = [
        (
            "database: {}\nhttp_port: 1\n",
            "database.port",
            "2",
            "line 1",
        ),
        (
            "http_port: 1\nlog_level: |\n  INFO\n",
            "log_level",
            "DEBUG",
            "line 2",
        ),
        (
            "http_port: &a 1\ndatabase:\n  port: *a\n",
            "http_port",
            "2",
            "line 1",
        ),
        ("{server_name: a}\n", "caches.global_factor", "2", "line 1"),
        ("? http_port\n: 1\n", "http_port", "2", "line 1"),
    ];
    for (text, key, yaml, place) in cases {
        let error = edit_file(Path::new(FILE), text, &[(key, yaml.to_owned())]).expect_err(text);
        let error = error.to_string();
        assert!(
            error.contains(&format!("`{key}`")) && error.contains(&format!("{FILE} {place}")),
            "{error}"
        );
    }
    for (key, yaml) in [
        ("http_port", "x"),
        ("http_port", "1\nworkers: []"),
        ("nothing", "1"),
        ("postgres_password", "x"),
    ] {
        let edited = edit_file(
            Path::new(FILE),
            "server_name: a\n",
            &[(key, yaml.to_owned())],
        );
        assert!(edited.is_err(), "{key}: {yaml}");
    }
}

#[test]
fn a_docker_env_file_is_read_as_it_stands() {
    let mut given = Given {
        env_file: Some(
            "\u{feff}# Docker\r\n\r\nSYNAPSE_SERVER_NAME='example.org'\r\nexport SYNAPSE_REPORT_STATS=Y \r\n\
             SYNAPSE_WORKER_TYPES=\"a=b+c, d:2\"\r\nSYNAPSE_HTTP_PORT=\r\nHOME\r\nTZ=UTC\r\nCOTURN_METRICS=1\r\n"
                .to_owned(),
        ),
        ..Given::default()
    };
    let loaded = given.load().expect("right settings");
    assert_eq!(loaded.settings.server_name.as_str(), "example.org");
    assert!(loaded.settings.report_stats);
    assert_eq!(loaded.settings.workers.0, ["a=b+c", "d:2"]);
    assert_eq!(loaded.settings.http_port.get(), 8008);
    assert_eq!(
        loaded.notes,
        ["synapse.env line 9: COTURN_METRICS is not known, ignored"]
    );
    for text in ["A = b", "two words", "=x"] {
        given.env_file = Some(format!("#\n{text}\n"));
        assert!(
            given
                .error()
                .starts_with("synapse.env line 2: expected NAME=VALUE"),
            "{text}"
        );
    }
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
