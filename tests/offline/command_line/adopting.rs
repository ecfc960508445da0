//! `--adopt` on a file tree with a Synapse of Debian's package: which settings it imports, and what it refuses.

use super::{WorkDir, words};
use crate::validators::{privileged, run};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Output;

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const HOMESERVER: &str = "\
pid_file: /var/run/matrix-synapse.pid
listeners:
  - {port: 8009, tls: false, type: http, x_forwarded: true, bind_addresses: ['::1', '127.0.0.1'], resources: [{names: [client, federation]}]}
  - {port: 9000, type: metrics}
database:
  name: psycopg2
  args: {user: matrix, password: hidden, database: matrix, host: localhost, cp_max: 7}
log_config: /etc/matrix-synapse/log.yaml
media_store_path: /var/lib/matrix-synapse/media
signing_key_path: /etc/matrix-synapse/homeserver.signing.key
";

const KEY: &str = "root/etc/matrix-synapse/homeserver.signing.key";

/// A file tree below `root` with a Synapse of Debian's package and this homeserver.yaml.
fn old(homeserver: &str) -> WorkDir {
    let place = WorkDir::new();
    for (path, text) in [
        ("homeserver.yaml", homeserver),
        ("homeserver.signing.key", "ed25519 a_x x\n"),
        ("conf.d/server_name.yaml", "server_name: old.test\n"),
        ("conf.d/report_stats.yaml", "report_stats: true\n"),
        ("conf.d/README", "not read\n"),
    ] {
        let file = place.at("root/etc/matrix-synapse").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    if nix::unistd::geteuid().is_root() {
        // Without a service to look at, adoption uses the owner of the signing key as Synapse's account.
        chown(place.at(KEY), Some(12_345), Some(12_345)).unwrap();
    }
    fs::create_dir_all(place.at("root/var/lib/matrix-synapse/media")).unwrap();
    for directory in ["root", "root/etc", "root/var", "root/var/lib"] {
        fs::set_permissions(place.at(directory), Permissions::from_mode(0o777)).unwrap();
    }
    place
}

#[test]
fn adopting_imports_the_values_that_nginx_and_units_need() {
    let place = old(HOMESERVER);
    let output = place.run("render --root root --adopt /etc/matrix-synapse --workers synchrotron");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let settings = fs::read_to_string(place.at("root/etc/synapse-workers/settings.yaml")).unwrap();
    for line in [
        "server_name: old.test",
        "report_stats: true",
        "http_port: 8009",
        "media_store_path: /var/lib/matrix-synapse/media",
        "  kind: external",
        "  host: localhost",
        "  name: matrix",
        "  user: matrix",
        "  cp_max: 7",
        "    - \"/etc/matrix-synapse/homeserver.yaml\"",
        "    - \"/etc/matrix-synapse/conf.d\"",
        "  - \"::1\"",
    ] {
        assert!(
            settings.lines().any(|found| found == line),
            "no {line:?} in\n{settings}"
        );
    }
    assert!(!settings.contains("hidden"), "{settings}");
    // The settings file alone gives the same result: nothing is imported twice.
    let changed = settings.replace("http_port: 8009", "http_port: 8010");
    fs::write(place.at("root/etc/synapse-workers/settings.yaml"), &changed).unwrap();
    let output = place.run("render --root root --adopt /etc/matrix-synapse");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let after = fs::read_to_string(place.at("root/etc/synapse-workers/settings.yaml")).unwrap();
    assert_eq!(after, changed);
}

#[test]
fn a_server_keeps_its_name_and_the_address_to_which_libpq_connects() {
    let place = old(&HOMESERVER.replace("host: localhost", "host: db.test, hostaddr: 10.0.0.5"));
    let name = place.at("root/etc/matrix-synapse/conf.d/server_name.yaml");
    fs::write(name, "server_name: Old.Test\n").unwrap();
    let output = place.run("render --root root --adopt /etc/matrix-synapse --workers synchrotron");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let settings = fs::read_to_string(place.at("root/etc/synapse-workers/settings.yaml")).unwrap();
    for line in ["server_name: Old.Test", "  host: \"10.0.0.5\""] {
        let found = settings.lines().any(|other| other == line);
        assert!(found, "no {line:?} in\n{settings}");
    }
}

#[test]
fn servers_that_cannot_be_adopted_are_refused_with_a_remedy() {
    let with = |more: &str| format!("{HOMESERVER}{more}\n");
    let without = |line: &str| HOMESERVER.replace(line, "");
    let sqlite = HOMESERVER.replace(
        "{user: matrix, password: hidden, database: matrix, host: localhost, cp_max: 7}",
        "{database: /var/lib/matrix-synapse/media/homeserver.db}",
    );
    let cases = [
        (
            with("stream_writers: {typing: w}"),
            65,
            "homeserver.yaml line 11: `stream_writers` divides work",
        ),
        (
            with("instance_map: {w: {}}\nenable_media_repo: off"),
            65,
            "homeserver.yaml line 12: `enable_media_repo` divides work among processes, which synapse-workers does itself\n  \
             help: stop the existing workers",
        ),
        (
            HOMESERVER.replace("database:\n", "databases:\n"),
            65,
            "homeserver.yaml line 5: `databases` divides the tables",
        ),
        (
            HOMESERVER.replace("host: localhost", "dsn: 'host=a'"),
            65,
            "homeserver.yaml line 5: `dsn` in the arguments of `database`",
        ),
        (
            with("form_secret_path: secret"),
            65,
            "`form_secret_path` is \"secret\", which depends",
        ),
        (
            without("media_store_path: /var/lib/matrix-synapse/media\n"),
            65,
            "`media_store_path` is not set",
        ),
        (
            HOMESERVER.replace("homeserver.signing.key", "other.key"),
            65,
            "names /etc/matrix-synapse/other.key, which does not exist\n  help: if this is the volume of a container",
        ),
        (
            with("public_baseurl: nowhere"),
            64,
            "--adopt: `public_baseurl` cannot be \"nowhere\"",
        ),
        // Synapse accepts it, and such an upload fails at its end.
        (
            with("max_upload_size: 3G"),
            64,
            "--adopt: `max_upload_size` cannot be",
        ),
        (
            sqlite.replace("psycopg2", "sqlite3").replace(
                "media_store_path: /var/lib/matrix-synapse/media",
                "media_store_path: /home/x",
            ),
            65,
            "names /home/x and /var/lib/matrix-synapse/media/homeserver.db, which do not exist",
        ),
    ];
    for (homeserver, wanted, message) in cases {
        let place = old(&homeserver);
        let output =
            place.run("render --root root --adopt /etc/matrix-synapse --workers synchrotron");
        let text = stderr(&output);
        assert_eq!(code(&output), wanted, "{message}: {text}");
        assert!(text.contains(message), "{message}: {text}");
        assert!(!text.contains("hidden"), "{text}");
        assert!(!place.at("root/etc/synapse-workers").exists(), "{message}");
    }
    let output = WorkDir::new().run("render --root root --adopt /etc/nowhere.yaml");
    assert_eq!(code(&output), 64);
    assert!(
        stderr(&output).contains("there is no such file"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn values_that_divide_nothing_pass_and_notes_are_printed() {
    let place = old(&format!(
        "{HOMESERVER}instance_map: {{}}\nstream_writers: {{}}\nrun_background_tasks_on: null\nsend_federation: true\n\
         enable_media_repo: true\nreport_stats: no\nreport_stats: yes\nemail: {{smtp_host: a}}\n"
    ));
    let own = place.at("root/etc/synapse-workers/homeserver.d");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("own.yaml"), "email: {smtp_host: b}\n").unwrap();
    fs::write(own.join("x.yml"), "email: {smtp_host: c}\n").unwrap();
    let adopted = place.at("root/etc/matrix-synapse/conf.d");
    fs::write(adopted.join("y.yml"), "email: {smtp_host: d}\n").unwrap();
    fs::set_permissions(
        place.at("root/etc/synapse-workers"),
        Permissions::from_mode(0o777),
    )
    .unwrap();
    let arguments = "--root root --adopt /etc/matrix-synapse --preset small";
    let planned = place.run(&format!("plan {arguments}"));
    assert_eq!(code(&planned), 0, "{}", stderr(&planned));
    assert!(!place.at("root/var/lib/synapse-workers").exists());
    let output = place.run(&format!("install {arguments}"));
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let notes = |output: &Output| {
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let notes = printed.lines().filter(|line| line.starts_with("note: "));
        notes.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(notes(&planned), notes(&output));
    let printed = notes(&output).join("\n");
    for note in [
        "note: log_config: Synapse logs to the journal",
        "note: listener metrics on port 9000 is not imported",
        "`report_stats` is set on line 16 and again on line 17, which counts",
        "`email` in root/etc/synapse-workers/homeserver.d/own.yaml line 1 replaces that in ",
        "conf.d/report_stats.yaml line 1 replaces that in ",
        "conf.d/y.yml has no effect, because Synapse reads only files whose names end with .yaml; rename it to y.yaml",
        "homeserver.d/x.yml has no effect, because Synapse reads only files whose names end with .yaml; rename it to x.yaml",
    ] {
        assert!(printed.contains(note), "{note}: {printed}");
    }
}

#[test]
fn transports_in_the_settings_replace_adopted_ones_with_a_note() {
    let place = old(&format!(
        "{HOMESERVER}matrix_rtc: {{transports: []}}\n\
         extra_well_known_client_content: {{a: 1, org.matrix.msc4143.rtc_foci: []}}\n"
    ));
    let settings =
        "public_baseurl: https://m.example.test/\nrtc: {transports: [{type: org.example.mesh}]}\n";
    fs::write(place.at("rtc.yaml"), settings).unwrap();
    let output = place
        .run("plan --root root --settings rtc.yaml --adopt /etc/matrix-synapse --preset small");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    for note in [
        "note: `rtc` in the settings replaces `matrix_rtc` in ",
        "note: `rtc` in the settings replaces `org.matrix.msc4143.rtc_foci` in ",
    ] {
        assert!(printed.contains(note), "{note}: {printed}");
    }
    assert!(!printed.contains("max_event_delay"), "{printed}");
}

#[test]
fn one_tls_port_serves_clients_and_servers_and_plain_http_is_for_this_host() {
    let place = old(&HOMESERVER.replace(
        "port: 8009, tls: false, type: http, x_forwarded: true, bind_addresses: ['::1', '127.0.0.1'],",
        "port: 8448, tls: true, type: http,",
    ));
    let pair = "tls_certificate_path: /etc/c.pem\ntls_private_key_path: /etc/k.pem\n";
    fs::write(place.at("root/etc/matrix-synapse/conf.d/tls.yaml"), pair).unwrap();
    let output = place.run("render --root root --adopt /etc/matrix-synapse --preset small");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let generation = place.at("root/var/lib/synapse-workers/generations/1");
    let listen = fs::read_to_string(generation.join("nginx/listen.conf")).unwrap();
    let listens: Vec<&str> = listen
        .lines()
        .filter_map(|line| line.trim().strip_prefix("listen "))
        .collect();
    assert_eq!(listens.len(), 3, "{listen}");
    for address in ["127.0.0.1:8008", "0.0.0.0:8448 ssl", "[::]:8448 "] {
        let mut listens = listens.iter();
        assert!(
            listens.any(|listen| listen.starts_with(address)),
            "{listen}"
        );
    }
}

/// The adopted file decides about the Matrix Authentication Service, and the settings have to agree with it.
#[test]
fn a_matrix_authentication_service_is_imported_and_stays_consistent() {
    let mas = "matrix_authentication_service: {enabled: true, endpoint: \"http://127.0.0.1:8090/\", secret: hidden}\n";
    let place = old(&format!("{HOMESERVER}{mas}"));
    let output = place.run("install --root root --adopt /etc/matrix-synapse --workers synchrotron");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("matrix_authentication_service: nginx forwards login"),
        "{text}"
    );
    let settings = place.at("root/etc/synapse-workers/settings.yaml");
    let written = fs::read_to_string(&settings).unwrap();
    assert!(
        written.contains("endpoint: \"http://127.0.0.1:8090/\"\n"),
        "{written}"
    );
    assert!(!written.contains("hidden"), "{written}");
    for (before, after, message) in [
        (
            "endpoint: \"http://127.0.0.1:8090/\"",
            "endpoint: \"http://127.0.0.1:9000/\"",
            "`mas.endpoint` is \"http://127.0.0.1:9000\", but `matrix_authentication_service` in ",
        ),
        (
            "endpoint: \"http://127.0.0.1:8090/\"",
            "endpoint:",
            "`mas.endpoint` is empty, but `matrix_authentication_service` in ",
        ),
        (
            "secret_file:",
            "secret_file: /etc/mas",
            "`mas.secret_file` is set, but Synapse uses the secret of",
        ),
    ] {
        assert!(written.contains(before), "{before}\n{written}");
        fs::write(&settings, written.replace(before, after)).unwrap();
        let output = place.run("render --root root");
        let text = stderr(&output);
        assert_eq!(code(&output), 64, "{text}");
        assert!(
            text.contains(message) && text.contains("homeserver.yaml line 11"),
            "{text}"
        );
    }
}

#[test]
fn a_name_of_earlier_releases_is_refused_beside_a_worker_that_does_the_work() {
    let place = old(&format!("{HOMESERVER}notify_appservices: true\n"));
    let output = place.run("render --root root --adopt /etc/matrix-synapse --workers appservice");
    let text = stderr(&output);
    assert_eq!(code(&output), 64, "{text}");
    assert!(
        text.contains(
            "homeserver.yaml line 11: `notify_appservices` is a name of earlier releases"
        ),
        "{text}"
    );
    let output = place.run("render --root root --adopt /etc/matrix-synapse --workers pusher");
    assert_eq!(code(&output), 0, "{}", stderr(&output));
}

#[test]
fn a_server_that_runs_as_root_is_refused_with_a_remedy() {
    let place = old(HOMESERVER);
    if nix::unistd::geteuid().is_root() {
        chown(place.at(KEY), Some(0), Some(0)).unwrap();
    }
    // If the tests do not run as root, they own the key, and in the program's user namespace their account appears as
    // root.
    let mut command = privileged(place.program());
    command.current_dir(place.at("")).args(words(
        "render --root root --adopt /etc/matrix-synapse --workers synchrotron",
    ));
    let output = run(&mut command);
    assert_eq!(code(&output), 65, "{}", stderr(&output));
    for message in [
        "--adopt: /etc/matrix-synapse/homeserver.signing.key belongs to root",
        "useradd --system --shell /usr/sbin/nologin matrix-synapse",
        "chown -R matrix-synapse: /etc/matrix-synapse/homeserver.signing.key /var/lib/matrix-synapse/media;",
    ] {
        assert!(
            stderr(&output).contains(message),
            "{message}: {}",
            stderr(&output)
        );
    }
    assert!(!place.at("root/etc/synapse-workers").exists());
}

#[test]
fn adopting_refuses_the_administrator_of_the_hosts_databases() {
    let place = old(&HOMESERVER.replace("user: matrix", "user: postgres"));
    let output = place.run("render --root root --adopt /etc/matrix-synapse --workers synchrotron");
    let text = stderr(&output);
    assert_eq!(code(&output), 64, "{text}");
    assert!(
        text.contains("--adopt: `database.user` is postgres, the administrator of"),
        "{text}"
    );
}
