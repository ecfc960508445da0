//! The sandbox of each unit: its access, and when its drop-ins are added and removed.

use super::metrics::with_metrics;
use super::model::{End, Model};
use super::setup::{SPECS, Setup, text};
use synapse_workers::plan::Plan;
use synapse_workers::plan::step::{Step, Verb};
use synapse_workers::state::State;
use synapse_workers::state::units;

pub const UNITS: &str = "host/etc/systemd/system/";

/// The values of a key in a unit, in order.
pub fn values<'a>(state: &'a State, unit: &str, key: &str) -> Vec<&'a str> {
    let lines = text(state, &format!("{UNITS}{unit}")).lines();
    lines
        .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        .collect()
}

/// Services that need no Unix socket cannot connect to one, such as those of the system bus and PostgreSQL.
#[test]
fn services_without_unix_sockets_cannot_open_one() {
    let state = with_metrics("synchrotron")
        .settings("coturn: {enabled: true, metrics: true, internal_ip: 10.0.0.1}\nalerts: {email: [a@b.test]}")
        .state();
    for (unit, expected) in [
        (units::PROMETHEUS, "AF_INET AF_INET6"),
        (units::ALERTMANAGER, "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
        (units::NGINX_EXPORTER, "AF_INET AF_INET6"),
        (units::NGINX_LOG_EXPORTER, "AF_INET AF_INET6"),
        (units::COTURN_EXPORTER, "AF_INET AF_INET6"),
        (units::POSTGRES_EXPORTER, "AF_UNIX AF_INET AF_INET6"),
        (units::COTURN, "AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
        (units::NGINX, "AF_UNIX"),
        (units::HOLD, "none"),
        (units::LOGROTATE_SERVICE, "none"),
        (units::HOST_METRICS_SERVICE, "none"),
    ] {
        assert_eq!(
            values(&state, unit, "RestrictAddressFamilies"),
            [expected],
            "{unit}"
        );
    }
}

/// Sandbox options come only from the template, and each unit that runs a program has each of them once.
#[test]
fn every_service_has_each_sandbox_option_once() {
    let everything = "metrics: {enabled: true, redis: true, postgres: true}\n\
        coturn: {enabled: true, metrics: true, internal_ip: 10.0.0.1}\ncompressor: {enabled: true}\n\
        tls: {certificate: /etc/a.pem, key: /etc/a.key}\nbackup: {repository: /srv/backup}\n\
        alerts: {email: [a@b.test]}\n";
    for spec in SPECS {
        let state = Setup::new(spec).settings(everything).state();
        let units = state
            .files
            .keys()
            .filter(|path| path.starts_with(UNITS) && path.ends_with(".service"));
        for path in units {
            let unit = text(&state, path);
            for (switch, count) in [
                ("NoNewPrivileges=yes", 1),
                ("ProtectSystem=strict", 1),
                ("RestrictNamespaces=yes", 1),
            ] {
                let found = unit.lines().filter(|line| *line == switch).count();
                assert_eq!(found, count, "{path}: {switch}\n{unit}");
            }
            assert!(!unit.contains("\n\n\n"), "{path}\n{unit}");
        }
    }
}

/// A drop-in applies until it is removed, so it is removed before its unit starts again. If the worker is removed, its
/// drop-in is removed after the worker has stopped.
#[test]
fn a_drop_in_is_removed_before_its_worker_starts_again() {
    let place = |plan: &Plan, is: &dyn Fn(&Step) -> bool| {
        let found = plan.steps.iter().position(is);
        found.unwrap_or_else(|| panic!("{plan}"))
    };
    let removal =
        |step: &Step| matches!(step, Step::RemoveFile { path } if path.contains("typing1"));
    let reload = |step: &Step| matches!(step, Step::ReloadManager);
    let job = |wanted: Verb| move |step: &Step| matches!(step, Step::Jobs { verb, units, .. } if *verb == wanted && units.iter().any(|unit| unit.contains("typing1")));
    let auto = Setup::new("typing, pusher").state();
    let all = Setup::new("typing, pusher")
        .settings("sandbox: {network: all}")
        .state();
    let plan = Model::running(&auto).run(&all, End::Done);
    let order = [
        place(&plan, &removal),
        place(&plan, &reload),
        place(&plan, &job(Verb::Restart)),
    ];
    assert!(order.is_sorted(), "{order:?}\n{plan}");
    let back = Model::running(&all).run(&auto, End::Done);
    assert!(
        place(&back, &reload) < place(&back, &job(Verb::Restart)),
        "{back}"
    );
    let gone = Model::running(&auto).run(&Setup::new("pusher").state(), End::Done);
    assert!(
        place(&gone, &job(Verb::Stop)) < place(&gone, &removal),
        "{gone}"
    );
}

/// A unit may access a protected directory only if the certificate is in it.
#[test]
fn the_certificate_service_sees_the_directory_of_the_certificate() {
    let switches = |path: &str, target: Option<&str>| {
        let lines = format!("tls: {{certificate: {path}, key: /etc/a.key}}");
        let mut setup = Setup::new("").settings(&lines);
        setup.facts.certificate.extend(target.map(Into::into));
        let state = setup.state();
        let value = |key| values(&state, "synapse-certificate.service", key).join(" ");
        [value("ProtectHome"), value("PrivateTmp")]
    };
    assert_eq!(switches("/etc/a.pem", None), ["yes", "yes"]);
    assert_eq!(switches("/root/a.pem", None), ["read-only", "yes"]);
    assert_eq!(switches("/var/tmp/a.pem", None), ["yes", "no"]);
    // The certificate is a symbolic link.
    assert_eq!(
        switches("/etc/a.pem", Some("/home/acme/a.pem")),
        ["read-only", "yes"]
    );
}
