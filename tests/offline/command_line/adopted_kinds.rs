//! Each kind of server in `tests/adopted/`: which settings and notes `--adopt` derives from it. The booted case
//! `adopt-kinds` adopts and restores the same trees.

use super::{WorkDir, words};
use crate::validators::{run, shown};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Output};

/// A kind, its signing key and the arguments that adopt it.
struct Kind {
    name: &'static str,
    key: &'static str,
    arguments: &'static str,
}

const DOCKER: Kind = Kind {
    name: "docker",
    key: "srv/synapse/example.test.signing.key",
    arguments: "--adopt /srv/synapse --adopt-paths /data=/srv/synapse",
};
const PLAYBOOK: Kind = Kind {
    name: "playbook",
    key: "matrix/synapse/config/example.test.signing.key",
    arguments: "--adopt /matrix/synapse/config --adopt-service matrix-synapse.service --adopt-paths \
                /data=/matrix/synapse/config,/matrix-media-store-parent=/matrix/synapse/storage",
};
const NIXOS: Kind = Kind {
    name: "nixos",
    key: "var/lib/matrix-synapse/homeserver.signing.key",
    arguments: "--adopt /nix/store/0c4yd9k-homeserver.yaml",
};
const PIP: Kind = Kind {
    name: "pip",
    key: "opt/synapse/example.test.signing.key",
    arguments: "--adopt /opt/synapse/homeserver.yaml",
};

impl Kind {
    /// A copy of the tree as `root`.
    fn tree(&self) -> WorkDir {
        let place = WorkDir::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adopted");
        let mut copy = Command::new("cp");
        let copied = run(copy
            .arg("--recursive")
            .arg(source.join(self.name))
            .arg(place.at("root")));
        assert!(copied.status.success(), "{}", shown(&copied));
        if nix::unistd::geteuid().is_root() {
            // Without a service to look at, the owner of the signing key is Synapse's account.
            chown(place.at("root").join(self.key), Some(12_345), Some(12_345)).unwrap();
        }
        // The program runs without privileges and writes units there.
        for directory in [
            "",
            "etc",
            "etc/systemd",
            "etc/systemd/system",
            "var",
            "var/lib",
        ] {
            let directory = place.at("root").join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(0o777)).unwrap();
        }
        place
    }

    /// Asserts that an install below `root` writes these lines to the settings file, and prints exactly the notes that
    /// begin like these.
    fn imports(&self, settings: &[&str], notes: &[&str]) {
        let place = self.tree();
        let arguments = format!("install --root root {} --preset small", self.arguments);
        let output = place.run(&arguments);
        assert!(output.status.success(), "{}", shown(&output));
        let written = fs::read_to_string(place.at("root/etc/synapse-workers/settings.yaml"));
        let written = written.unwrap();
        for line in settings {
            let found = written.lines().any(|found| found == *line);
            assert!(found, "no {line:?} in\n{written}");
        }
        assert!(!written.contains("a-password_of:postgres"), "{written}");
        let printed = noted(&output);
        for note in notes {
            let found = printed.iter().any(|found| found.starts_with(note));
            assert!(found, "no {note:?} in\n{}", printed.join("\n"));
        }
        assert_eq!(printed.len(), notes.len(), "{}", printed.join("\n"));
    }
}

fn noted(output: &Output) -> Vec<String> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let notes = printed
        .lines()
        .filter_map(|line| line.strip_prefix("note: "));
    notes.map(str::to_owned).collect()
}

#[test]
fn the_docker_image() {
    DOCKER.imports(
        &[
            "server_name: example.test",
            "http_port: 8008",
            "bind_addresses:",
            "  - \"127.0.0.1\"",
            "media_store_path: /srv/synapse/media",
            "max_upload_size: 20M",
            "  host: db",
            "  name: docker",
            "  user: docker",
            "    - \"/srv/synapse/homeserver.yaml\"",
            "    - \"/data=/srv/synapse\"",
        ],
        &[
            "the listeners have addresses of the container, so nginx listens on 127.0.0.1 only",
            "log_config: Synapse logs to the journal",
            "the configuration names other containers: bridge, db;",
        ],
    );
    let place = DOCKER.tree();
    place.run("render --root root --adopt /srv/synapse --adopt-paths /data=/srv/synapse --workers synchrotron");
    let copy = "root/var/lib/synapse-workers/generations/1/synapse/adopted/00-homeserver.yaml";
    let copy = fs::read_to_string(place.at(copy)).unwrap();
    assert!(!copy.contains("/data"), "{copy}");
    assert!(
        copy.contains("- \"/srv/synapse/appservices/bridge.yaml\""),
        "{copy}"
    );
}

#[test]
fn the_playbook() {
    PLAYBOOK.imports(
        &[
            "public_baseurl: \"https://matrix.example.test/\"",
            "http_port: 8008",
            "http_federation_port: 8048",
            "  - \"127.0.0.1\"",
            "media_store_path: /matrix/synapse/storage/media-store",
            "max_upload_size: 100M",
            "  host: matrix-postgres",
            "  service: matrix-synapse.service",
        ],
        &[
            "listener metrics on port 9100 is not imported",
            "listener manhole on port 9000 is not imported",
            "the listeners have addresses of the container, so nginx listens on 127.0.0.1 only",
            "listener http on port 8008: `x_forwarded` trusts every client",
            "listener http on port 8048: `x_forwarded` trusts every client",
            "log_config: Synapse logs to the journal",
            "enable_metrics: use the settings in `metrics`",
            "the configuration names other containers: matrix-exim-relay, matrix-postgres;",
        ],
    );
}

#[test]
fn the_module_of_nixos() {
    // Below another root there is no service that would name the file with the secrets.
    NIXOS.imports(
        &[
            "server_name: example.test",
            "http_port: 8008",
            "  - \"::1\"",
            "  listen_unix_socket: /run/matrix-synapse/main.sock",
            "media_store_path: /var/lib/matrix-synapse/media_store",
            "  host: /run/postgresql",
            "  name: matrix-synapse",
            "    - \"/nix/store/0c4yd9k-homeserver.yaml\"",
        ],
        &[
            "listener http at /run/matrix-synapse/main.sock: `mode` is not imported",
            "listener http at /run/matrix-synapse/main_replication.sock is not imported: the workers of synapse-workers have",
            "log_config: Synapse logs to the journal",
        ],
    );
}

#[test]
fn guides_for_pip() {
    PIP.imports(
        &[
            "http_port: 8008",
            "  port: 8448",
            "  federation_port: 8448",
            "  - \"0.0.0.0\"",
            "http_bind_addresses:",
            "  certificate: /opt/synapse/example.test.tls.crt",
            "media_store_path: /opt/synapse/media_store",
            "  host: localhost",
            "  sslmode: prefer",
            "  keepalives_idle: 10s",
            "  keepalives_count: 3",
        ],
        &["log_config: Synapse logs to the journal"],
    );
}

#[test]
fn paths_of_a_container_are_refused_with_the_command_that_maps_them() {
    for (kind, adopt, missing, paths) in [
        (
            DOCKER,
            "/srv/synapse",
            "/data/example.test.signing.key and /data/media and /data/appservices/bridge.yaml, which do not exist",
            "--adopt /srv/synapse/homeserver.yaml --adopt-paths /data=/srv/synapse",
        ),
        (
            PLAYBOOK,
            "/matrix/synapse/config/homeserver.yaml",
            "/data/example.test.signing.key and /matrix-media-store-parent/media-store, which do not exist",
            "--adopt-paths /data=/matrix/synapse/config,/matrix-media-store-parent=/matrix/synapse/storage",
        ),
    ] {
        let place = kind.tree();
        let output = place.run(&format!("plan --root root --adopt {adopt} --preset small"));
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(65), "{text}");
        for part in [missing, paths] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }
    let place = DOCKER.tree();
    for (paths, reason) in [("/data", "CONTAINER=HOST"), ("data=/srv", "CONTAINER=HOST")] {
        let arguments = words(&format!(
            "plan --root root --adopt /srv/synapse --adopt-paths {paths}"
        ));
        let output = place.run(&arguments.join(" "));
        assert_eq!(output.status.code(), Some(64), "{}", shown(&output));
        assert!(shown(&output).contains(reason), "{}", shown(&output));
    }
}
