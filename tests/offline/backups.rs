//! The services of backups: what they may reach and write, and the alert for an old backup.

use super::setup::{Setup, text};
use synapse_workers::state::State;

const SERVICE: &str = "host/etc/systemd/system/synapse-backup.service";
const RULES: &str = "prometheus/rules/backup.yml";

/// A deployment with backups to a directory of the host.
pub fn with_backups(workers: &str) -> Setup {
    Setup::new(workers).settings("backup: {repository: /srv/backup}")
}

/// The values of a key in the service of backups.
fn values<'a>(state: &'a State, key: &str) -> Vec<&'a str> {
    let lines = text(state, SERVICE).lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

#[test]
fn only_backups_to_other_hosts_have_network_access() {
    for (settings, private) in [
        ("backup: {repository: /srv/backup}", true),
        ("backup: {repository: 'sftp:me@nas:/backup'}", false),
        (
            "backup: {repository: 's3:https://s3.example.org/backup'}",
            false,
        ),
        (
            "backup: {repository: /srv/backup}\ndatabase: {host: db.example}",
            false,
        ),
    ] {
        let state = Setup::new("synchrotron").settings(settings).state();
        assert_eq!(
            values(&state, "PrivateNetwork") == ["yes"],
            private,
            "{settings}"
        );
        // restic listens on no port.
        assert_eq!(values(&state, "SocketBindDeny"), ["any"], "{settings}");
    }
}

#[test]
fn backups_write_only_to_their_repository_and_records() {
    let written = |settings: &str| {
        let state = Setup::new("synchrotron").settings(settings).state();
        values(&state, "ReadWritePaths").concat()
    };
    assert_eq!(
        written("backup: {repository: /srv/backup}"),
        "/var/lib/synapse-workers/backup -/srv/backup"
    );
    assert_eq!(
        written("backup: {repository: 'rest:https://backup.example.org/'}"),
        "/var/lib/synapse-workers/backup"
    );
    // SQLite completes the transaction of a process that has crashed.
    let state = Setup::new("")
        .settings("backup: {repository: /srv/backup}")
        .state();
    assert!(
        values(&state, "ReadWritePaths")
            .concat()
            .ends_with(" /var/lib/synapse")
    );
}

#[test]
fn only_ssh_needs_the_home_of_root() {
    let home = |repository: &str| {
        let settings = format!("backup: {{repository: '{repository}'}}");
        let state = Setup::new("synchrotron").settings(&settings).state();
        values(&state, "ProtectHome").concat()
    };
    assert_eq!(home("sftp:me@nas:/backup"), "read-only");
    assert_eq!(home("/srv/backup"), "yes");
    assert_eq!(home("/home/backup"), "read-only");
}

#[test]
fn the_alert_has_the_age_of_the_settings_and_exists_only_with_backups() {
    let metrics = "metrics: {enabled: true}";
    let without = Setup::new("synchrotron").settings(metrics).state();
    assert!(!without.files.contains_key(RULES));
    assert!(!text(&without, "metrics/host.sh").contains("backup"));
    let with = format!("{metrics}\nbackup: {{repository: /srv/backup, max_age: 36h}}");
    let with = Setup::new("synchrotron").settings(&with).state();
    assert!(text(&with, RULES).contains("synapse_host_backup_seconds > 129600\n"));
    assert!(text(&with, "metrics/host.sh").contains("/var/lib/synapse-workers/backup/last.json"));
}
