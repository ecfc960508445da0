//! Rendered files: rendering is deterministic, quoting protects every value, and the lists of all files agree.

use super::setup::{SPECS, Setup, text};
use serde_yaml::Value;
use std::collections::BTreeSet;
use std::path::Path;
use synapse_workers::host::postgres::Access;
use synapse_workers::settings::types::DatabaseKind;
use synapse_workers::state::State;

/// Paths that break a file of some format unless they are quoted for it.
pub const HOSTILE_PATHS: &[&str] = &[
    "/srv/a;b",
    "/srv/a;",
    "/srv/100%",
    "/srv/%h%%n",
    "/srv/say \"hi\"",
    "/srv/it's",
    "/srv/$HOME ${HOME} $$",
    "/srv/two  blanks",
    "/srv/back\\slash\\n\\x41",
    "/srv/ends with \\",
    "/srv/key: [a, {b}] # no comment",
    "/srv/é 日本 🦀",
    "/srv/no\u{a0}break",
    "/srv/*?[a-z]~!&|<>`@",
    "/srv/{{ braces }} {% x %}",
];

fn yaml(state: &State, path: &str) -> Value {
    serde_yaml::from_str(text(state, path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A line of settings with the value quoted as an administrator would have to quote it.
pub fn setting(key: &str, value: &str) -> String {
    format!("{key}: {}", serde_json::to_string(value).unwrap())
}

/// Synapse's keys follow from the port and `email.tls` (config/emailconfig.py).
#[test]
fn the_encryption_of_mail_follows_the_port_and_the_setting() {
    for (email, expected) in [
        ("smtp_port: 25", [None, None]),
        ("smtp_port: 587", [None, None]),
        ("smtp_port: 465", [Some(true), None]),
        ("smtp_port: 465, tls: starttls", [None, None]),
        ("smtp_port: 4465, tls: implicit", [Some(true), None]),
        (
            "tls: none, require_transport_security: false",
            [None, Some(false)],
        ),
    ] {
        let state = Setup::new("small")
            .settings(&format!("email: {{enabled: true, {email}}}"))
            .state();
        let block = yaml(&state, "synapse/homeserver.yaml")["email"].clone();
        let found = ["force_tls", "enable_tls"].map(|key| block[key].as_bool());
        assert_eq!(found, expected, "{email}");
    }
}

/// The default means every address of the host; a list that an administrator wrote is rendered as written.
#[test]
fn nothing_listens_on_ipv6_on_a_host_without_it() {
    let ports = "metrics: {enabled: true}\nhttp_federation_port: 8018\n\
                 tls: {certificate: /a/b, key: /a/c}\ncoturn: {enabled: true}";
    for (sockets, addresses, expected) in [
        ("{}", "", false),
        ("{held: false}", "", false),
        ("{}", "bind_addresses: [\"::\", 0.0.0.0]\n", false),
        ("{}", "bind_addresses: [\"::\", 192.0.2.1]\n", true),
    ] {
        let mut setup =
            Setup::new("small").settings(&format!("{addresses}sockets: {sockets}\n{ports}"));
        setup.facts.ipv6 = false;
        setup.facts.address = Some([192, 0, 2, 1].into());
        let state = setup.state();
        let files = state
            .files
            .iter()
            .filter(|(path, _)| path.starts_with("nginx/") || path.ends_with(".socket"));
        let lines: Vec<String> = files
            .flat_map(|(_, file)| {
                String::from_utf8_lossy(&file.contents)
                    .into_owned()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .filter(|line| line.contains("isten") && line.contains("[::]"))
            .collect();
        assert_eq!(
            !lines.is_empty(),
            expected,
            "{sockets} {addresses}: {lines:?}"
        );
    }
}

/// The launcher passes sockets to Synapse, and names users to nginx.
#[test]
fn synapse_starts_behind_the_launcher_if_anything_needs_it() {
    let mas = "mas: {endpoint: 'http://127.0.0.1:8090/'}\n";
    let launcher = "/usr/libexec/synapse-workers/launcher";
    for (settings, starts, sockets) in [
        ("", format!("{launcher} --drain 10"), true),
        (mas, format!("{launcher} --drain 10 --name-users"), true),
        ("sockets: {held: false}", "-m".to_owned(), false),
        (
            &format!("{mas}sockets: {{held: false}}"),
            format!("{launcher} --name-users"),
            false,
        ),
    ] {
        let state = Setup::new("synchrotron").settings(settings).state();
        for (unit, module) in [
            ("main", "synapse.app.homeserver"),
            ("worker@", "synapse.app.generic_worker"),
        ] {
            let path = format!("host/etc/systemd/system/synapse-{unit}.service");
            let text = text(&state, &path);
            let command = format!("python {starts} {module} ");
            assert!(text.contains(&command), "{settings}: {command}\n{text}");
            assert_eq!(text.contains("Requires=synapse-"), sockets, "{settings}");
            assert_eq!(text.contains("ExecStartPre=rm"), !sockets, "{settings}");
        }
    }
}

/// Synapse, the exporter and the checks connect alike.
#[test]
fn the_connection_to_postgresql_is_that_of_the_settings() {
    let setup = Setup::new("small").settings(
        "metrics: {enabled: true, postgres: true}\n\
         database: {host: db.test, sslmode: verify-full, sslrootcert: /etc/ssl/db.pem, keepalives_idle: 10s, \
         keepalives_interval: 5s, keepalives_count: 3, txn_limit: 10000}",
    );
    let state = setup.state();
    let database = yaml(&state, "synapse/homeserver.yaml")["database"].clone();
    assert_eq!(database["txn_limit"].as_u64(), Some(10_000));
    let args = &database["args"];
    assert_eq!(args["sslmode"].as_str(), Some("verify-full"));
    assert_eq!(args["sslrootcert"].as_str(), Some("/etc/ssl/db.pem"));
    for (key, value) in [("idle", 10), ("interval", 5), ("count", 3)] {
        let key = format!("keepalives_{key}");
        assert_eq!(args[key.as_str()].as_u64(), Some(value), "{key}");
    }
    let unit = text(
        &state,
        "host/etc/systemd/system/synapse-postgres-exporter.service",
    );
    assert!(unit.contains(" sslmode=verify-full"), "{unit}");
    assert!(
        unit.contains("\nLoadCredential=ca:/etc/ssl/db.pem\n"),
        "{unit}"
    );
    assert!(
        unit.contains("\nEnvironment=PGSSLROOTCERT=%d/ca\n"),
        "{unit}"
    );
    let settings = setup.try_settings().unwrap();
    let access = Access::of_synapse(&settings, DatabaseKind::External).unwrap();
    assert_eq!(access.sslmode, settings.database.sslmode);
    assert_eq!(
        access.sslrootcert.as_deref(),
        Some(Path::new("/etc/ssl/db.pem"))
    );
}

/// The largest size is that of Synapse's integer column, for nginx and Synapse alike.
#[test]
fn uploads_end_where_synapse_cannot_store_their_length() {
    let state = Setup::new("small").settings("max_upload_size: 2G").state();
    let size = yaml(&state, "synapse/homeserver.yaml")["max_upload_size"].clone();
    assert_eq!(size.as_u64(), Some(2_147_483_647));
    assert!(text(&state, "nginx/nginx.conf").contains("client_max_body_size 2147483647;"));
}

#[test]
fn processes_run_as_the_user_of_the_settings_in_our_group() {
    let mut setup = Setup::new("small").settings("synapse: {user: matrix}");
    setup.facts.user_group = Some("nogroup".to_owned());
    let state = setup.state();
    for unit in ["synapse-main.service", "synapse-worker@.service"] {
        let unit = text(&state, &format!("host/etc/systemd/system/{unit}"));
        assert!(
            unit.contains("\nUser=matrix\nGroup=synapse\nSupplementaryGroups=nogroup\n"),
            "{unit}"
        );
    }
    let tmpfiles = text(&state, "host/etc/tmpfiles.d/synapse-workers.conf");
    assert!(tmpfiles.contains("d /var/lib/synapse 0750 matrix synapse -"));
    assert!(tmpfiles.contains("d /etc/synapse-workers/secrets 0750 root synapse -"));
    let ours = text(
        &Setup::new("small").state(),
        "host/etc/systemd/system/synapse-main.service",
    )
    .to_owned();
    assert!(
        ours.contains("\nUser=synapse\nGroup=synapse\nWorkingDirectory="),
        "{ours}"
    );
}

/// PostgreSQL's processes have the default of 0.
#[test]
fn short_of_memory_the_kernel_ends_a_worker_before_main_and_postgresql() {
    let state = Setup::new("small").state();
    let adjustment = |unit: &str| -> i32 {
        let unit = text(&state, &format!("host/etc/systemd/system/{unit}"));
        let mut lines = unit.lines();
        let line = lines.find_map(|line| line.strip_prefix("OOMScoreAdjust="));
        line.unwrap().parse().unwrap()
    };
    let (main, worker) = (
        adjustment("synapse-main.service"),
        adjustment("synapse-worker@.service"),
    );
    assert!(worker > main && main > 0, "{worker}, {main}");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    for spec in SPECS {
        let (once, twice) = (Setup::new(spec).state(), Setup::new(spec).state());
        assert_eq!(
            serde_json::to_string(&once).unwrap(),
            serde_json::to_string(&twice).unwrap()
        );
        for (path, file) in &once.files {
            assert!(
                file.contents == twice.files[path].contents,
                "{spec}: {path}"
            );
            assert!(file.contents.ends_with(b"\n"), "{spec}: {path}");
        }
    }
    // The order of the workers in the spec does not matter.
    let digests = |spec| {
        Setup::new(spec)
            .state()
            .files
            .into_values()
            .map(|file| file.digest)
    };
    assert!(
        digests("pusher:2, typing, synchrotron").eq(digests("synchrotron, typing, pusher, pusher"))
    );
}

#[test]
fn strings_reach_synapse_unchanged() {
    for value in HOSTILE_PATHS {
        let state = Setup::new("synchrotron")
            .settings(&setting("media_store_path", value))
            .settings(&format!("database:\n  {}", setting("host", value)))
            .state();
        let options = yaml(&state, "synapse/homeserver.yaml");
        assert_eq!(options["media_store_path"].as_str(), Some(*value));
        assert_eq!(options["database"]["args"]["host"].as_str(), Some(*value));
    }
    // Words that YAML 1.1 reads as another type.
    for (key, value) in [("name", "off"), ("name", "null"), ("user", "y")] {
        let state = Setup::new("")
            .settings(&format!(
                "database: {{kind: external, host: db.example, {key}: \"{value}\"}}"
            ))
            .state();
        let text = text(&state, "synapse/homeserver.yaml");
        assert!(text.contains(&format!(": \"{value}\"\n")), "{text}");
    }
}

#[test]
fn control_characters_are_refused_before_anything_is_rendered() {
    for value in [
        "/srv/a\nb",
        "/srv/a\0b",
        "/srv/a\tb",
        "/srv/a\u{7f}",
        "/srv/a\u{85}b",
        "/srv/a\u{2028}b",
    ] {
        for key in ["media_store_path", "public_baseurl", "server_name"] {
            let error = Setup::new("").settings(&setting(key, value)).try_settings();
            let error = error.expect_err(value);
            assert!(
                error.contains("settings.yaml") && !error.contains(value),
                "{error:?}"
            );
        }
    }
}

/// Errors that Synapse does not report: names and sockets that differ between two files.
#[test]
fn the_files_of_all_processes_agree() {
    for spec in SPECS {
        let state = Setup::new(spec).state();
        let mut sockets = BTreeSet::new();
        let mut names = BTreeSet::new();
        for path in state
            .files
            .keys()
            .filter(|path| path.starts_with("synapse/workers/"))
        {
            let process = yaml(&state, path);
            let name = process["worker_name"].as_str().unwrap();
            assert_eq!(path, &format!("synapse/workers/{name}.yaml"));
            assert!(
                state
                    .units
                    .contains(&format!("synapse-worker@{name}.service"))
            );
            names.insert(name.to_owned());
            sockets_of(&process["worker_listeners"], &mut sockets);
        }
        let main = yaml(&state, "synapse/main.yaml");
        assert!(
            main.get("worker_app").is_none(),
            "Synapse refuses it on main"
        );
        sockets_of(&main["listeners"], &mut sockets);
        assert!(
            sockets.iter().all(|path| path.len() < 104),
            "{spec}: sun_path with .lock"
        );

        if !names.is_empty() {
            let map = yaml(&state, "synapse/shared.d/instance_map.yaml");
            for (_, entry) in map["instance_map"].as_mapping().unwrap() {
                assert!(
                    sockets.contains(entry["path"].as_str().unwrap()),
                    "{spec}: {entry:?}"
                );
            }
            let secret = yaml(&state, "synapse/shared.d/replication.yaml");
            assert!(secret["worker_replication_secret_path"].is_string());
        }
        let mut keys = BTreeSet::new();
        for path in state
            .files
            .keys()
            .filter(|path| path.starts_with("synapse/shared.d/"))
        {
            for (key, value) in yaml(&state, path).as_mapping().unwrap() {
                let key = key.as_str().unwrap();
                assert!(
                    keys.insert(key.to_owned()),
                    "{key}: a later file would overwrite it"
                );
                let named = match key {
                    "stream_writers" => value
                        .as_mapping()
                        .unwrap()
                        .values()
                        .flat_map(strings)
                        .collect(),
                    "instance_map"
                    | "redis"
                    | "worker_replication_secret_path"
                    | "enable_media_repo" => vec![],
                    _ => strings(value),
                };
                assert!(
                    value.as_sequence().is_none_or(|list| !list.is_empty()),
                    "{key} is an empty list"
                );
                for name in named {
                    assert!(names.contains(&name), "{spec}: {key} names {name}");
                }
            }
        }
        let upstreams = text(&state, "nginx/nginx.conf").split("server unix:");
        let upstreams: BTreeSet<&str> = upstreams
            .skip(1)
            .map(|rest| rest.split_once(' ').unwrap().0)
            .collect();
        assert!(!upstreams.is_empty(), "{spec}: nginx has no upstream");
        for socket in upstreams {
            assert!(
                sockets.contains(socket),
                "{spec}: nginx connects to {socket}"
            );
        }
    }
}

fn sockets_of(listeners: &Value, sockets: &mut BTreeSet<String>) {
    for listener in listeners.as_sequence().unwrap() {
        let path = listener["path"].as_str().unwrap().to_owned();
        // Synapse uses the mode as an integer without converting it.
        assert_eq!(listener["mode"].as_u64(), Some(0o660), "{path}");
        assert!(sockets.insert(path.clone()), "two on {path}");
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::Sequence(items) => items.iter().flat_map(strings).collect(),
        other => vec![other.as_str().unwrap().to_owned()],
    }
}
