//! A settings file with other hosts: `render` and `routes` use it, and commands that work on one host refuse it.

use super::WorkDir;
use crate::validators::shown;
use std::fs;

const SETTINGS: &str = "server_name: example.test\nworkers: [synchrotron, typing]\naddress: 10.0.0.1\n\
    database: {host: 10.0.0.9}\nhosts: {app2: {address: 10.0.0.2, workers: [synchrotron]}}\n";

#[test]
fn commands_for_one_host_refuse_other_hosts() {
    let place = WorkDir::with(SETTINGS);
    let before = place.files("");
    for arguments in ["install --yes --root root", "plan --root root"] {
        let output = place.run(&format!("{arguments} --settings settings.yaml"));
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(65), "{arguments}: {text}");
        let problem = "error: `hosts` is set, and this command does not work on several hosts yet\n  help: man synapse-workers-cluster";
        assert!(text.contains(problem), "{arguments}: {text}");
        assert!(output.stdout.is_empty(), "{arguments}: {text}");
    }
    assert_eq!(place.files(""), before);
}

#[test]
fn render_writes_the_files_of_each_host() {
    let place = WorkDir::with(SETTINGS);
    for (arguments, own, other) in [
        (
            "--root first",
            "main.yaml",
            "workers/app2_synchrotron1.yaml",
        ),
        (
            "--root app2 --host app2",
            "workers/app2_synchrotron1.yaml",
            "main.yaml",
        ),
    ] {
        place.prints(&format!("render {arguments} --settings settings.yaml"));
        let root = arguments.split(' ').nth(1).unwrap();
        let path = |file: &str| {
            place.at(&format!(
                "{root}/var/lib/synapse-workers/current/synapse/{file}"
            ))
        };
        assert!(path(own).exists() && !path(other).exists(), "{arguments}");
    }
    let table = place.prints("routes GET /_matrix/client/v3/sync --settings settings.yaml");
    assert!(
        table.starts_with("synchrotron: app2_synchrotron1 synchrotron1\n"),
        "{table}"
    );
}

#[test]
fn an_unknown_host_is_refused_with_the_known_ones() {
    for (settings, message) in [
        (
            SETTINGS,
            "--host: there is no host \"app3\"\n  help: the other hosts are app2;",
        ),
        (
            "server_name: example.test\n",
            "help: `hosts` in the settings file is empty",
        ),
    ] {
        let place = WorkDir::with(settings);
        let output = place.run("render --root root --host app3 --settings settings.yaml");
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(
            text.contains(message) && !place.at("root").exists(),
            "{text}"
        );
    }
}

#[test]
fn a_host_is_left_out_without_a_change_of_the_settings() {
    let place = WorkDir::with(SETTINGS);
    let routes = "routes GET /_matrix/client/v3/sync --settings settings.yaml --without app2";
    let table = place.prints(routes);
    assert!(table.starts_with("synchrotron: synchrotron1\n"), "{table}");
    assert_eq!(place.files("").len(), 1);
    assert_eq!(
        fs::read_to_string(place.at("settings.yaml")).unwrap(),
        SETTINGS
    );
    let senders = SETTINGS.replace("[synchrotron]}", "[federation_sender]}");
    for (settings, without, message) in [
        (
            SETTINGS,
            "app3",
            "--without: there is no host \"app3\"\n  help: the hosts in `hosts` are app2",
        ),
        (
            "server_name: example.test\n",
            "app2",
            "help: `hosts` in the settings file is empty",
        ),
        (
            &format!("{senders}sandbox: {{network: senders}}\n"),
            "app2",
            "no worker has the role federation_sender",
        ),
    ] {
        let place = WorkDir::with(settings);
        for command in ["install --yes", "plan", "routes"] {
            let output = place.run(&format!(
                "{command} --without {without} --settings settings.yaml"
            ));
            let text = shown(&output);
            assert_eq!(output.status.code(), Some(64), "{command}: {text}");
            assert!(text.contains(message), "{command}: {text}");
        }
    }
}

#[test]
fn faults_of_other_hosts_are_refused_with_file_and_line() {
    let rest = "server_name: a.test\naddress: 10.0.0.1\ndatabase: {host: db.test}\n";
    for (hosts, message) in [
        (
            "{b: {address: 10.0.0.2, workers: [pushr]}}",
            "line 4: hosts: hosts.b.workers: unknown role \"pushr\"\n  help: did you mean pusher?",
        ),
        (
            "{typing: {address: 10.0.0.2, workers: [pusher]}}",
            "line 4: hosts: the host \"typing\" has the name of a role",
        ),
        (
            "{b: {address: 10.0.0.2, workers: [media_repository]}}",
            "line 4: hosts: the worker b_media_repository1 would store media on its own host",
        ),
        ("{b: {adress: 10.0.0.2}}", "line 4: `hosts` cannot be"),
        (
            "{b: {address: 8.8.8.8, workers: [pusher]}}",
            "line 4: `hosts.b.address` is 8.8.8.8, which is not in a private network",
        ),
    ] {
        let place = WorkDir::with(&format!("{rest}hosts: {hosts}\n"));
        let output = place.run("render --root root --settings settings.yaml");
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{text}");
        assert!(text.contains(message), "{hosts}: {text}");
    }
}
