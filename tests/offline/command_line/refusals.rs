//! Refusals: exit status 64 or 65, one message that names the place, and an unchanged host.

use super::{WorkDir, words};
use crate::validators::{privileged, run, shown};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Locations that take paths of Matrix, and lines that nginx cannot use, with their file and line.
#[test]
fn own_locations_are_refused_with_file_and_line() {
    for (text, message) in [
        (
            "location /a/ {}\nlocation /_matrix/client/v3/login {}",
            "own.conf: line 2: `location /_matrix/client/v3/login`",
        ),
        (
            "location / { return 200; }",
            "own.conf: line 1: `location /` contains /, a path of this server\n  help: for a web",
        ),
        (
            "location ~ login$ {}",
            "own.conf: line 1: `location ~ login$` contains /_matrix/",
        ),
        (
            "location /a/ {\n root /root/www;\n}",
            "own.conf: line 2: `root`: /root/www is hidden from nginx's unit",
        ),
        (
            "location /a/ {\n alias /var/lib/;\n}",
            "own.conf: line 2: `alias`: /var/lib/ is a parent of",
        ),
        (
            "add_header X y;",
            "own.conf: line 1: `add_header` is not a location",
        ),
        ("location /a/ {", "own.conf: line 1: a block has no \"}\""),
    ] {
        let place = WorkDir::new();
        let own = place.at("own.conf");
        fs::write(&own, text).unwrap();
        let settings = format!(
            "server_name: a.test\nnginx: {{include: {}}}\n",
            own.display()
        );
        fs::write(place.at("settings.yaml"), settings).unwrap();
        // The files of the settings are those below the root.
        let below = place.at("root").join(own.strip_prefix("/").unwrap());
        fs::create_dir_all(below.parent().unwrap()).unwrap();
        fs::rename(&own, &below).unwrap();
        let output = place.run("render --root root --settings settings.yaml");
        let error = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{text}\n{error}");
        assert!(error.starts_with("error: `nginx.include`: "), "{error}");
        assert!(error.contains(message), "{text}\n{error}");
    }
}

#[test]
fn a_wrong_command_line_is_refused_and_changes_nothing() {
    let place = WorkDir::with("server_name: example.test\nworkers: [synchrotron]\n");
    let before = place.files("");
    for case in [
        "nonsense => unrecognized subcommand 'nonsense'",
        " => Usage: synapse-workers",
        "install --no-such-flag => unexpected argument '--no-such-flag'",
        "routes GET => <PATH>",
        "routes GET sync => `sync` is not a path: a path begins with /",
        "render => --root: render needs the directory to write to",
        "status --root . => --root: this command needs a running host",
        "generate bread . => 'bread'",
        "uninstall --confirm example.test => --purge",
        "uninstall --purge --confirm other.test => `other.test` is not the name of this server, example.test",
        "uninstall --purge => --purge: without a terminal, the server's name must be given as confirmation",
        "rollback -- -1 => '-1'",
        "plan --preset huge => --preset: there is no preset `huge`; use one of small, medium, large, full",
        "plan --preset small --workers full => cannot be used with",
        "plan --env-file none => none: there is no such file",
        "plan --settings . => .: not a regular file",
        "install --server-name 'not a name' => --server-name",
        "install --server-name Example.Test => `server_name` cannot be Example.Test for a new server",
        "install --server-name Example.Test => help: use lower case: --server-name example.test",
        "install --server-name münchen.test => in their xn-- form, which `idn2 NAME` prints",
        "install --workers generic_worker:2 => help: write the roles whose requests it serves",
        "install --workers syncrotron => --workers: unknown role \"syncrotron\"\n  help: did you mean synchrotron?",
        "install --workers typing:2 => the role typing",
        "install --workers pusher:-1 => invalid count \"-1\"",
        "install --workers pusher:10000 => more than 100 workers",
        "install --workers typing,,pusher => an entry between two commas is empty",
        "scale synchrotron => expected ROLE=N, such as synchrotron=3",
        "scale synchrotron=x => `x` is not a count",
        "scale nothing=1 => nothing",
        "add nothing => unknown role \"nothing\"",
        "remove nothing => nothing",
    ] {
        let (arguments, message) = case.split_once(" => ").unwrap();
        let settings = if arguments.contains("--settings") {
            ""
        } else {
            " --settings settings.yaml"
        };
        let arguments = match arguments {
            "" => arguments.to_owned(),
            // Arguments after `--` are not options, so `--settings` cannot be appended.
            _ if arguments.contains(" -- ") => arguments.to_owned(),
            _ => format!("{arguments}{settings}"),
        };
        let output = place.run(&arguments);
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{arguments}: {text}");
        assert!(text.contains(message), "{arguments}: {text}");
        assert!(output.stdout.is_empty(), "{arguments}: {text}");
    }
    assert_eq!(place.files(""), before);
}

#[test]
fn invalid_settings_are_refused_with_file_and_line() {
    for (text, message) in [
        (
            "server_name: a.test\nwrokers: []\n",
            "settings.yaml line 2: unknown setting `wrokers`\n  help: did you mean `workers`?",
        ),
        (
            "server_name: a.test\nserver_name: b.test\n",
            "settings.yaml line 2: `server_name` is set twice",
        ),
        (
            "server_name: a.test\n\nhttp_port: 70000\n",
            "settings.yaml line 3: ",
        ),
        (
            "server_name: a.test\nworkers:\n  - pusher\n  - \"a\\x01b\"\n",
            "settings.yaml line 4: ",
        ),
        (
            "server_name: a.test\nworkers: [typing, typing]\n",
            "settings.yaml line 2: workers: 2 workers would have the role typing",
        ),
        ("server_name: a_b\n", "settings.yaml line 1: "),
        (
            "server_name: a.test\nworkers: []\ncompressor: {enabled: true}\n",
            "compressor.enabled: the state compressor requires PostgreSQL",
        ),
        ("server_name: [\n", "settings.yaml line "),
        (
            "workers: []\n",
            "`server_name` is not set\n  help: pass --server-name NAME, or set `server_name` in settings.yaml",
        ),
        ("- a\n", "settings.yaml line 1: "),
        (
            "server_name: a.test\nmedia_store_path: \"/srv/a\\nb\"\n",
            "settings.yaml line 2: `media_store_path` cannot be \"/srv/a\\nb\": control characters",
        ),
        (
            "server_name: a.test\nworkers: [typing]\nsandbox: {network: senders}\n",
            "settings.yaml line 3: `sandbox.network` is senders, but no worker has the role federation_sender",
        ),
        (
            "server_name: a.test\nmedia_store_path: /home/media\n",
            "media_store_path: /home/media is hidden from Synapse's units",
        ),
        (
            "server_name: a.test\nmedia_store_path: /tmp/media\n",
            "media_store_path: /tmp/media is below /tmp, which is private to each unit",
        ),
        (
            "server_name: a.test\nmedia_store_path: /var/tmp/media\n",
            "is below /var/tmp, which is private",
        ),
        (
            "server_name: a.test\nmedia_store_path: /run/media\n",
            "is below /run, which is empty after a reboot",
        ),
        (
            "server_name: a.test\nmedia_store_path: /var/run/media\n",
            "is below /var/run, which is empty after a reboot",
        ),
        (
            "server_name: a.test\nmedia_store_path: /dev/shm/media\n",
            "is below /dev, which is empty after a reboot",
        ),
        (
            "server_name: a.test\nredis: {host: a.test, tls: true, ca_file: /tmp/ca.pem}\n",
            "redis.ca_file: /tmp/ca.pem is below /tmp",
        ),
        (
            "server_name: a.test\nworkers: [pusher]\ndatabase: {kind: sqlite}\n",
            "SQLite serves one process only",
        ),
        (
            "server_name: a.test\ndatabase: {kind: external}\n",
            "settings.yaml line 2: `database.kind` is external",
        ),
        (
            "server_name: a.test\ndatabase: {cp_min: 5, cp_max: 4}\n",
            "settings.yaml line 2: `database.cp_min` is 5",
        ),
        (
            "server_name: a.test\nbind_addresses: [0.0.0.0, \"::\", 127.0.0.1]\n",
            "settings.yaml line 2: `bind_addresses` contains 127.0.0.1, which is already part of 0.0.0.0",
        ),
        (
            "server_name: a.test\nhttp_bind_addresses: [\"::1\", \"::\"]\n",
            "settings.yaml line 2: `http_bind_addresses` contains ::1, which is already part of ::",
        ),
        (
            "server_name: a.test\nbind_addresses: []\n",
            "settings.yaml line 2: `bind_addresses` is empty",
        ),
        (
            "server_name: a.test\nnginx: {proxy_protocol_ports: [8448], web_root: /srv/x}\ntls: {certificate: /a, key: /b}\n",
            "settings.yaml line 2: `nginx.proxy_protocol_ports` and `tls.federation_port` are both 8448",
        ),
        (
            "server_name: a.test\ntls: {certificate: /a, key: /b, acme: {}}\n",
            "settings.yaml line 2: `tls.acme` obtains a certificate, and `tls.certificate` names another one\n  help: remove",
        ),
        (
            "server_name: 192.0.2.1\ntls: {acme: {}}\n",
            "settings.yaml line 2: `tls.acme` cannot obtain a certificate for 192.0.2.1, which is an IP address\n  help: set `pub",
        ),
        (
            "server_name: localhost\ntls: {acme: {server: \"https://ca.internal/dir\"}}\n",
            "settings.yaml line 2: `tls.acme` cannot obtain a certificate for localhost, which every host has for itself",
        ),
        (
            "server_name: matrix\ntls: {acme: {server: staging}}\n",
            "settings.yaml line 2: `tls.acme` cannot obtain a certificate for matrix, which is not a name of the public DNS",
        ),
        (
            "server_name: a.test\ntls: {acme: {}, port: 80}\n",
            "settings.yaml line 2: `tls.port` is 80, at which the authority of `tls.acme` asks\n  help: choose another port",
        ),
        (
            "server_name: a.test\nnginx: {proxy_protocol_ports: [8009]}\ntrusted_proxies: []\n",
            "settings.yaml line 2: `nginx.proxy_protocol_ports` is set, but `trusted_proxies` is empty",
        ),
        (
            "server_name: a.test\nnginx: {web_root: /srv/$a}\n",
            "settings.yaml line 2: `nginx.web_root` is /srv/$a",
        ),
        (
            "server_name: a.test\nnginx: {web_root: /home/joe/element}\n",
            "nginx.web_root: /home/joe/element is hidden from nginx's unit",
        ),
        (
            "server_name: a.test\nnginx: {web_root: /var/lib}\n",
            "nginx.web_root: /var/lib is a parent of /var/lib/synapse-workers",
        ),
        (
            "server_name: a.test\nnginx: {include: [/does/not/exist.conf]}\n",
            "`nginx.include`: /does/not/exist.conf: there is no such file",
        ),
        (
            "a: &a [x, x]\nb: &b [*a, *a]\nserver_name: *b\n",
            "settings.yaml line ",
        ),
    ] {
        let place = WorkDir::with(text);
        let output = place.run("render --root root --settings settings.yaml");
        let error = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{text}\n{error}");
        assert!(
            error.starts_with("error: ") && error.contains(message),
            "{text}\n{error}"
        );
        assert!(!place.at("root").exists(), "{text}");
    }
    // Settings files that cannot be read at all. The program must not block on a pipe.
    for (kind, make) in [
        ("a directory", "mkdir settings.yaml"),
        ("a pipe", "mkfifo settings.yaml"),
        (
            "closed to us",
            "echo x >settings.yaml; chmod 0 settings.yaml",
        ),
        ("not UTF-8", "printf '\\377' >settings.yaml"),
    ] {
        let place = WorkDir::new();
        let mut shell = Command::new("sh");
        assert!(
            run(shell.args(["-c", make]).current_dir(place.directory.path()))
                .status
                .success()
        );
        let output = place.run("render --root root --settings settings.yaml");
        let error = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{kind}: {error}");
        assert!(
            error.contains("settings.yaml") && error.lines().count() < 3,
            "{kind}: {error}"
        );
    }
}

#[test]
fn options_that_contradict_the_matrix_authentication_service_are_refused_with_their_place() {
    let place = WorkDir::with("server_name: a.test\nmas: {endpoint: \"http://127.0.0.1:8090/\"}\n");
    let directory = place.at("root/etc/synapse-workers/homeserver.d");
    fs::create_dir_all(&directory).unwrap();
    for (options, messages) in [
        (
            "modules: []\noidc_providers: [{idp_id: a}]\npassword_config: {enabled: true}\n",
            &[
                "homeserver.d/own.yaml line 2: `oidc_providers`: Synapse refuses it together with",
                "homeserver.d/own.yaml line 3: `password_config`: Synapse refuses it together with",
                "help: remove it, and configure the provider as upstream_oauth2",
            ][..],
        ),
        (
            "experimental_features: {msc3861: {enabled: true}}\n",
            &[
                "own.yaml line 1: `experimental_features`: `msc3861` in it is the former way",
                "admin_token",
            ],
        ),
        (
            "matrix_authentication_service: {enabled: true}\n",
            &[
                "own.yaml line 1: `matrix_authentication_service` cannot be set here; use the settings in `mas`",
            ],
        ),
    ] {
        fs::write(directory.join("own.yaml"), options).unwrap();
        let output = place.run("render --root root --settings settings.yaml");
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(64), "{options}: {text}");
        for message in messages {
            assert!(text.contains(message), "{message}\n{text}");
        }
    }
}

#[test]
fn homeserver_d_options_must_not_contradict_the_settings() {
    let place = WorkDir::new();
    let directory = place.at("root/etc/synapse-workers/homeserver.d");
    fs::create_dir_all(&directory).unwrap();
    assert!(
        run(Command::new("chmod")
            .args(["-R", "a+rwX", "."])
            .current_dir(place.directory.path()))
        .status
        .success()
    );
    for (text, message) in [
        (
            "redis: {enabled: false}\n",
            "own.yaml line 1: `redis` cannot be set here; use the settings in `redis`",
        ),
        (
            "a: 1\nsend_federation: false\nstart_pushers: no\n",
            "own.yaml line 2: `send_federation` cannot be set here; use the setting `workers`\n  \
             root/etc/synapse-workers/homeserver.d/own.yaml line 3: `start_pushers` cannot be set here",
        ),
        (
            "notify_appservices: false\n",
            "`notify_appservices` cannot be set here",
        ),
        (
            "update_user_directory: false\n",
            "`update_user_directory` cannot be set here",
        ),
        (
            "databases: {}\n",
            "`databases` cannot be set here; use the settings in `database`",
        ),
        (
            "extra_well_known_client_content: {}\n",
            "`extra_well_known_client_content` cannot be set here; use the setting `well_known.client`",
        ),
        ("a: [\n", "own.yaml: invalid YAML"),
    ] {
        fs::write(directory.join("own.yaml"), text).unwrap();
        let output = place.run("render --root root --server-name a.test");
        assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
        assert!(shown(&output).contains(message), "{}", shown(&output));
    }
    fs::write(directory.join("own.yaml"), "presence: {}\nmodules: []\n").unwrap();
    fs::write(directory.join("second.yaml"), "modules: []\n").unwrap();
    let output = place.run("render --root root --server-name a.test");
    assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
    assert!(
        shown(&output).contains(
            "homeserver.d/second.yaml line 1: `modules` is also set in root/etc/synapse-workers/homeserver.d/own.yaml \
             line 2"
        ),
        "{}",
        shown(&output)
    );
    fs::remove_file(directory.join("second.yaml")).unwrap();
    fs::write(directory.join("own.yaml"), "enable_metrics: true # as is\n").unwrap();
    place.prints("render --root root --server-name a.test");
    let files = place.files("root/var/lib/synapse-workers/generations/1");
    assert_eq!(
        files[Path::new("synapse/homeserver.d/own.yaml")],
        b"enable_metrics: true # as is\n"
    );
}

#[test]
fn options_that_calls_need_are_rendered_unless_the_administrator_sets_them() {
    let settings = "server_name: a.test\npublic_baseurl: https://m.a.test/\n\
                    rtc: {livekit_service_url: https://m.a.test/livekit/jwt}\n";
    let place = WorkDir::with(settings);
    let directory = place.at("root/etc/synapse-workers/homeserver.d");
    fs::create_dir_all(&directory).unwrap();
    let writable = ["-R", "a+rwX", "."];
    let mut chmod = Command::new("chmod");
    assert!(
        run(chmod.args(writable).current_dir(place.directory.path()))
            .status
            .success()
    );
    let (features, limits) = (
        "experimental_features: {msc4143_enabled: true, msc4222_enabled: ",
        "rc_message: {per_second: 0.5}\nrc_delayed_event_mgmt: {per_second: 2, burst_count: 20}\n",
    );
    let own = directory.join("own.yaml");
    for (text, message) in [
        (
            "a: 1\nexperimental_features: {msc4143_enabled: true}\n",
            "own.yaml line 2: `experimental_features` lacks msc4222_enabled: true, which Element Call needs, and replaces the \
             list that `rtc` sets\n  help: add to `experimental_features` there: msc4222_enabled: true",
        ),
        (
            "experimental_features: []\n",
            "lacks msc4143_enabled: true, msc4222_enabled: true, which",
        ),
        (
            "matrix_rtc: {}\nmax_event_delay_duration: 1h\n",
            "own.yaml line 1: `matrix_rtc` cannot be set here; use the settings in `rtc`\n",
        ),
    ] {
        fs::write(&own, text).unwrap();
        let output = place.run("render --root root --settings settings.yaml");
        assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
        assert!(shown(&output).contains(message), "{}", shown(&output));
    }
    fs::write(&own, format!("{features}no}}\n{limits}")).unwrap();
    let output = place.run("plan --root root --settings settings.yaml");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    for note in [
        "own.yaml line 1: `msc4222_enabled` is off, and Element Call needs it",
        "own.yaml line 2: `rc_message` is lower than Element Call needs: per_second: 0.5, burst_count: 30",
    ] {
        assert!(shown(&output).contains(note), "{}", shown(&output));
    }
    assert!(!shown(&output).contains("rc_delayed"), "{}", shown(&output));
    place.prints("render --root root --settings settings.yaml");
    let file = Path::new("synapse/homeserver.yaml");
    let rendered = place
        .files("root/var/lib/synapse-workers/generations/1")
        .remove(file)
        .unwrap();
    let rendered = String::from_utf8(rendered).unwrap();
    for (key, wanted) in [
        ("matrix_rtc: {", true),
        ("max_event_delay_duration: ", true),
        ("experimental_features", false),
        ("rc_message", false),
        ("rc_delayed_event_mgmt", false),
    ] {
        assert_eq!(rendered.contains(key), wanted, "{key}: {rendered}");
    }
}

#[test]
fn a_log_configuration_that_writes_where_units_may_not_is_refused() {
    let place =
        WorkDir::with("server_name: a.test\nworkers: [pusher]\nlog_config: /etc/matrix/log.yaml\n");
    fs::create_dir_all(place.at("root/etc/matrix")).unwrap();
    fs::create_dir_all(place.at("root/var/lib")).unwrap();
    for directory in ["root", "root/etc", "root/var", "root/var/lib"] {
        fs::set_permissions(place.at(directory), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let with = |file: &str| {
        let handler = format!("{{class: logging.handlers.RotatingFileHandler, filename: {file}}}");
        let text = format!("version: 1\nhandlers:\n  file: {handler}\n");
        fs::write(place.at("root/etc/matrix/log.yaml"), text).unwrap();
        place.run("install --root root --settings settings.yaml")
    };
    let output = with("/var/log/matrix-synapse/homeserver.log");
    let text = shown(&output);
    assert_eq!(output.status.code(), Some(64), "{text}");
    for part in [
        "`log_config`: /etc/matrix/log.yaml: the handler `file` writes to /var/log/matrix-synapse/homeserver.log",
        "help: set its `filename` to a path below /var/log/synapse",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let output = with("/var/log/synapse/homeserver.log");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed
            .contains("note: log_config: every process writes to /var/log/synapse/homeserver.log"),
        "{printed}"
    );
}

/// A server with capitals in its name exists if it has a signing key.
#[test]
fn an_existing_server_keeps_the_capitals_of_its_name() {
    let place = WorkDir::with("server_name: Example.Test\n");
    let command = "routes --root root --settings settings.yaml";
    let refused = place.run(command);
    assert_eq!(refused.status.code(), Some(64), "{}", shown(&refused));
    let key = place
        .directory
        .path()
        .join("root/var/lib/synapse/signing.key");
    fs::create_dir_all(key.parent().unwrap()).unwrap();
    fs::write(key, "ed25519 a_x x\n").unwrap();
    let accepted = place.run(command);
    assert_eq!(accepted.status.code(), Some(0), "{}", shown(&accepted));
}

/// Runs as root in a mount namespace without the contents of `/run`, so that the result is the same on every machine.
#[test]
fn a_host_without_systemd_is_refused() {
    for command in ["plan", "install --yes"] {
        let place = WorkDir::new();
        let script = "mount -t tmpfs tmpfs /run && mkdir /run/lock && exec \"$0\" \"$@\"";
        let output = run(privileged("sh")
            .args(["-c", script])
            .arg(place.program())
            .args(words(command))
            .args(["--server-name", "a.test", "--settings", "settings.yaml"])
            .current_dir(place.directory.path()));
        assert_eq!(
            output.status.code(),
            Some(65),
            "{command}: {}",
            shown(&output)
        );
        assert_eq!(
            shown(&output),
            "error: this host was not booted with systemd\n  help: use a host where systemd is process 1; \
             `synapse-workers render --root DIR` works anywhere\n"
        );
        assert!(place.files("").is_empty(), "{command} wrote something");
    }
}

#[test]
fn commands_that_change_the_host_need_root() {
    let place = WorkDir::with("server_name: a.test\n");
    for command in ["plan", "install --yes", "scale pusher=1"] {
        let output = place.run(&format!("{command} --settings settings.yaml"));
        assert_eq!(
            output.status.code(),
            Some(65),
            "{command}: {}",
            shown(&output)
        );
        assert!(
            shown(&output).contains("this needs root\n  help: sudo synapse-workers"),
            "{command}"
        );
    }
    assert_eq!(
        fs::read_to_string(place.at("settings.yaml")).unwrap(),
        "server_name: a.test\n"
    );
}
