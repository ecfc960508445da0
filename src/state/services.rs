//! The auxiliary services: for each unit, its account and the program that it runs, with the packages of the
//! distributions. `render/services.rs` has a row for each of them with the parts that depend on settings.

use super::accounts::{self, Account};
use super::units;

/// An auxiliary service.
#[derive(Debug)]
pub struct Service {
    /// The name of the service, or of the timer or path unit that starts it.
    pub unit: &'static str,
    /// The system user that it runs as, if it has its own.
    pub account: Option<Account>,
    /// The program that it needs; `None` if every host has it.
    pub program: Option<Program>,
}

/// A program and the packages that contain it.
#[derive(Debug)]
pub struct Program {
    /// The name in messages.
    pub name: &'static str,
    /// The names of the executable: Debian's first. One of them must be installed.
    pub executables: &'static [&'static str],
    /// The package of Debian and Ubuntu.
    pub apt: &'static str,
    /// The package of Fedora.
    pub dnf: &'static str,
    /// Services that the packages start on all addresses of the host, and that this service replaces. The first one
    /// runs the same program.
    pub started: &'static [&'static str],
}

/// Values that most programs have in common.
const PROGRAM: Program = Program {
    name: "",
    executables: &[],
    apt: "",
    dnf: "",
    started: &[],
};

/// All auxiliary services.
#[rustfmt::skip] // one service per line, with its program two
pub static SERVICES: &[Service] = &[
    Service { unit: units::NGINX,              account: Some(accounts::NGINX),             program: Some(Program {
              name: "nginx",               executables: &["nginx"], apt: "nginx", dnf: "nginx", started: &[units::DISTRIBUTION_NGINX] }) },
    Service { unit: units::REDIS,              account: Some(accounts::REDIS),             program: Some(Program {
              name: "redis",               executables: &["redis-server", "valkey-server"], apt: "redis-server", dnf: "valkey", ..PROGRAM }) },
    // The package of Prometheus recommends the node exporter.
    Service { unit: units::PROMETHEUS,         account: Some(accounts::PROMETHEUS),        program: Some(Program {
              name: "prometheus",          executables: &["prometheus"], apt: "prometheus", dnf: "prometheus",
              started: &["prometheus.service", "prometheus-node-exporter.service"] }) },
    Service { unit: units::ALERTMANAGER,       account: Some(accounts::ALERTMANAGER),      program: Some(Program {
              name: "Alertmanager",        executables: &["prometheus-alertmanager", "alertmanager"],
              apt: "prometheus-alertmanager", dnf: "golang-github-prometheus-alertmanager", started: &["prometheus-alertmanager.service"] }) },
    Service { unit: units::HOST_METRICS,       account: None,                              program: None },
    Service { unit: units::NGINX_EXPORTER,     account: None,                              program: Some(Program {
              name: "nginx exporter",      executables: &["prometheus-nginx-exporter", "nginx-prometheus-exporter"],
              apt: "prometheus-nginx-exporter", dnf: "golang-github-nginxinc-nginx-prometheus-exporter", started: &["prometheus-nginx-exporter.service"] }) },
    Service { unit: units::NGINX_LOG_EXPORTER, account: None,                              program: Some(Program {
              name: "mtail",               executables: &["mtail"], apt: "mtail", dnf: "mtail", ..PROGRAM }) },
    Service { unit: units::REDIS_EXPORTER,     account: None,                              program: Some(Program {
              name: "Redis exporter",      executables: &["prometheus-redis-exporter", "redis_exporter"],
              apt: "prometheus-redis-exporter", dnf: "golang-github-oliver006-redis-exporter", started: &["prometheus-redis-exporter.service"] }) },
    Service { unit: units::POSTGRES_EXPORTER,  account: Some(accounts::POSTGRES_EXPORTER), program: Some(Program {
              name: "PostgreSQL exporter", executables: &["prometheus-postgres-exporter", "postgres_exporter"],
              apt: "prometheus-postgres-exporter", dnf: "golang-github-prometheus-postgres-exporter", started: &["prometheus-postgres-exporter.service"] }) },
    Service { unit: units::LOGROTATE,          account: None,                              program: Some(Program {
              name: "logrotate",           executables: &["logrotate"], apt: "logrotate", dnf: "logrotate", ..PROGRAM }) },
    Service { unit: units::CERTIFICATE,        account: None,                              program: None },
    Service { unit: units::ACME,               account: None,                              program: Some(Program {
              name: "certbot",             executables: &["certbot"], apt: "certbot", dnf: "certbot", ..PROGRAM }) },
    Service { unit: units::COTURN,             account: Some(accounts::COTURN),            program: Some(Program {
              name: "coturn",              executables: &["turnserver"], apt: "coturn", dnf: "coturn", started: &["coturn.service"] }) },
    Service { unit: units::COTURN_EXPORTER,    account: None,                              program: None },
    Service { unit: units::COMPRESSOR,         account: None,                              program: None },
    Service { unit: units::BACKUP,             account: None,                              program: Some(Program {
              name: "restic",              executables: &["restic"], apt: "restic", dnf: "restic", ..PROGRAM }) },
    Service { unit: units::BACKUP_CHECK,       account: None,                              program: None },
];

/// The auxiliary service of a unit.
pub fn service(unit: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.unit == unit)
}

/// The programs of all auxiliary services.
pub fn programs() -> impl Iterator<Item = &'static Program> {
    SERVICES
        .iter()
        .filter_map(|service| service.program.as_ref())
}

/// All units of this program that can be enabled and running, as patterns of systemd. Services that a timer or a path
/// starts are not among them, because they run only on demand.
pub fn unit_patterns() -> Vec<&'static str> {
    let synapse = [
        units::TARGET,
        units::MAIN,
        "synapse-worker@*.service",
        "synapse-warm@*.service",
        units::MAIN_SOCKET,
        "synapse-worker@*.socket",
        units::NGINX_SOCKET,
    ];
    let services = SERVICES.iter().map(|service| service.unit);
    synapse.into_iter().chain(services).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_account_has_a_service() {
        for account in accounts::OURS {
            let has = |service: &Service| service.account == Some(*account);
            assert!(SERVICES.iter().any(has), "{}", account.name);
        }
        for account in SERVICES.iter().filter_map(|service| service.account) {
            assert!(accounts::OURS.contains(&account), "{}", account.name);
        }
    }

    #[test]
    fn every_row_is_complete_and_occurs_once() {
        let units: BTreeSet<&str> = SERVICES.iter().map(|service| service.unit).collect();
        assert_eq!(units.len(), SERVICES.len());
        for program in programs() {
            let texts = [program.name, program.apt, program.dnf];
            assert!(texts.iter().all(|text| !text.is_empty()), "{program:?}");
            assert!(!program.executables.is_empty(), "{program:?}");
        }
    }
}
