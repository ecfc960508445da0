//! The generated settings file with its comments, and edits that leave every other byte unchanged.

use super::samples::*;
use std::path::Path;

use synapse_workers::settings::file::read;
use synapse_workers::settings::table::ROWS;
use synapse_workers::settings::{edit_file, new_file};

#[test]
fn the_new_file_loads_as_the_same_settings() {
    let defaults = Provided::file("server_name: example.org")
        .load()
        .expect("valid settings");
    let mut provided = Provided::default();
    // The samples of these contradict those of other settings.
    let apart = [
        "database.kind",
        "database.open",
        "hosts",
        "registration.enabled",
        "tls.acme",
    ];
    let samples = SAMPLES
        .iter()
        .filter(|(key, ..)| !row(key).secret && !apart.contains(key));
    provided.flags = samples
        .map(|(key, good, _)| ("--x", *key, (*good).to_owned()))
        .collect();
    let everything = provided.load().expect("valid settings");
    let (_, hosts, _) = SAMPLES
        .iter()
        .find(|(key, ..)| *key == "hosts")
        .expect("a sample");
    let mut several = Provided::file("server_name: example.org").with_companions("hosts");
    several.flags.push(("--x", "hosts", (*hosts).to_owned()));
    let several = several.load().expect("valid settings");
    for loaded in [defaults, everything, several] {
        let text = new_file(&loaded.settings);
        let again = Provided::file(text.clone()).load().expect("our own file");
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
fn an_edit_changes_only_its_key_in_any_file() {
    let defaults = Provided::file("server_name: example.org")
        .load()
        .expect("valid settings");
    let crlf = ODD.replace('\n', "\r\n");
    let marked = format!("\u{feff}{ODD}");
    let plain_marked = "\u{feff}server_name: example.org\r\n";
    let documented = new_file(&defaults.settings);
    let texts = [
        "server_name: example.org",
        "  server_name: a\n",
        ODD,
        &crlf,
        &marked,
        plain_marked,
        &documented,
    ];
    for text in texts {
        for (key, good, _) in SAMPLES.iter().filter(|(key, ..)| !row(key).secret) {
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
            "flow mapping",
            "well_known:\n  client: {a: {'b}': [1]},\n    c: x} # c\n",
            "well_known.client",
            "{\"d\":1}",
            "well_known:\n  client: {\"d\":1} # c\n",
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
fn the_workers_of_a_host_change_and_every_other_byte_stays() {
    let head = "server_name: example.org\naddress: 10.0.0.1\ndatabase: {host: db.test}\n";
    let value = "{\"app2\":{\"address\":\"10.0.0.2\",\"workers\":[\"pusher:2\",\"typing\"]},\
                 \"app3\":{\"address\":\"10.0.0.3\",\"workers\":[\"synchrotron\"]}}";
    for (before, after) in [
        (
            "hosts:\n  # Ours.\n  app2: {address: 10.0.0.2, workers: [pusher]} # near\n  app3: {address: 10.0.0.3, workers: [synchrotron]}\nhttp_port: 8009\n",
            "hosts:\n  # Ours.\n  app2: {address: 10.0.0.2, workers: [\"pusher:2\", \"typing\"]} # near\n  app3: {address: 10.0.0.3, workers: [synchrotron]}\nhttp_port: 8009\n",
        ),
        (
            "hosts:\n  app3:\n    workers: synchrotron\n    address: 10.0.0.3\n  app2:\n    workers:\n      - pusher\n      - receipts\n    address: 10.0.0.2 # near\n",
            "hosts:\n  app3:\n    workers: synchrotron\n    address: 10.0.0.3\n  app2:\n    workers:\n      - \"pusher:2\"\n      - \"typing\"\n    address: 10.0.0.2 # near\n",
        ),
        (
            "hosts: {app2: {workers: pusher, address: 10.0.0.2}, app3: {address: 10.0.0.3, workers: [synchrotron]}}\n",
            "hosts: {app2: {workers: [\"pusher:2\", \"typing\"], address: 10.0.0.2}, app3: {address: 10.0.0.3, workers: [synchrotron]}}\n",
        ),
    ] {
        let text = format!("{head}{before}");
        let changes = [("hosts", value.to_owned())];
        let found = edit_file(Path::new("settings.yaml"), &text, &changes).expect("an edit");
        assert_eq!(found, format!("{head}{after}"));
    }
}
