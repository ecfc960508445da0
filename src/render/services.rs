//! The table of auxiliary services, each in its own unit: the condition for its existence, its renderer, directories,
//! ports and metrics.

use super::Input;
use super::service::{Job, SERVICE, Service, exporter, job};
use super::{
    acme, alerts, backup, certificate, compressor, coturn, logrotate, metrics, nginx, redis,
};
use crate::deployment::endpoints::ServicePort;
use crate::state::units;

const NGINX_DIRECTORIES: &[&str] = &[
    "d /var/lib/synapse-workers/nginx 0700 synapse-nginx synapse-nginx -",
    "d /var/log/synapse-workers 0755 root root -",
    // The log of requests. Its directory is removed together with the setting.
    "d /var/log/synapse-workers/requests 0750 synapse-nginx synapse-nginx -",
    // nginx -t creates a missing log as root, and nginx could not write to that file.
    "f /var/log/synapse-workers/requests/access.log 0640 synapse-nginx synapse-nginx -",
];
const ACME_DIRECTORIES: &[&str] = &[
    "d /etc/synapse-workers/acme 0700 root root -",
    "d /var/lib/synapse-workers/acme 0755 root root -",
    "d /var/lib/synapse-workers/acme/logs 0700 root root -",
    "d /var/lib/synapse-workers/acme/pair 0700 root root -",
    "d /var/lib/synapse-workers/acme/webroot 0755 root root -",
    "d /var/lib/synapse-workers/acme/work 0700 root root -",
];
const REDIS_DIRECTORIES: &[&str] = &["d /run/synapse-workers/redis 2750 synapse-redis synapse -"];
const PROMETHEUS_DIRECTORIES: &[&str] =
    &["d /var/lib/synapse-workers/prometheus 0700 synapse-prometheus synapse-prometheus -"];
const ALERTMANAGER_DIRECTORIES: &[&str] =
    &["d /var/lib/synapse-workers/alertmanager 0700 synapse-alertmanager synapse-alertmanager -"];
const METRICS_DIRECTORIES: &[&str] = &["d /run/synapse-workers/metrics 0755 root root -"];
const LOG_DIRECTORIES: &[&str] = &[
    "d /var/log/synapse-workers/nginx 0750 synapse-nginx synapse-nginx -",
    // See above.
    "f /var/log/synapse-workers/nginx/access.log 0640 synapse-nginx synapse-nginx -",
];
const BACKUP_DIRECTORIES: &[&str] = &["d /var/lib/synapse-workers/backup 0755 root root -"];

/// The metrics of this host, in a file that nginx serves.
const HOST_JOB: Job = Job {
    path: "/host",
    ..job("host", ServicePort::NginxStatus)
};

/// The metrics of coturn, from itself or from its exporter.
const COTURN_JOB: Job = Job {
    enabled: |settings| settings.coturn.metrics,
    ..job("coturn", ServicePort::Coturn)
};

/// All auxiliary services, in the order of their directories, accounts and metrics in rendered files.
#[rustfmt::skip] // one service per line
pub static SERVICES: &[Service] = &[
    Service { unit: units::NGINX,              wanted: |_| true,                 render: nginx::render,       directories: nginx_directories, ports: nginx::PORTS, ..SERVICE },
    Service { unit: units::REDIS,              wanted: redis::is_wanted,         render: redis::render,       directories: |_| REDIS_DIRECTORIES, ports: redis::PORTS, ..SERVICE },
    Service { unit: units::PROMETHEUS,         wanted: metrics::wanted,          render: metrics::render,     directories: |_| PROMETHEUS_DIRECTORIES, ports: metrics::PORTS, ..SERVICE },
    Service { unit: units::ALERTMANAGER,       wanted: alerts::is_wanted,        render: alerts::render,      directories: |_| ALERTMANAGER_DIRECTORIES, ..exporter("alertmanager", ServicePort::Alertmanager) },
    Service { unit: units::HOST_METRICS,       wanted: metrics::wanted,          render: metrics::host,       directories: |_| METRICS_DIRECTORIES, job: Some(HOST_JOB), ..SERVICE },
    Service { unit: units::NGINX_EXPORTER,     wanted: metrics::wanted,          render: metrics::nginx,      ..exporter("nginx", ServicePort::NginxExporter) },
    Service { unit: units::NGINX_LOG_EXPORTER, wanted: metrics::wanted,          render: metrics::nginx_log,  directories: |_| LOG_DIRECTORIES, ..exporter("nginx_log", ServicePort::NginxLogExporter) },
    Service { unit: units::REDIS_EXPORTER,     wanted: metrics::redis_wanted,    render: metrics::redis,      ..exporter("redis", ServicePort::RedisExporter) },
    Service { unit: units::POSTGRES_EXPORTER,  wanted: metrics::postgres_wanted, render: metrics::postgres,   ..exporter("postgres", ServicePort::PostgresExporter) },
    Service { unit: units::LOGROTATE,          wanted: logrotate::is_wanted,     render: logrotate::render,   ..SERVICE },
    Service { unit: units::CERTIFICATE,        wanted: certificate::is_wanted,   render: certificate::render, ..SERVICE },
    Service { unit: units::ACME,               wanted: acme::is_wanted,          render: acme::render,        directories: |_| ACME_DIRECTORIES, ..SERVICE },
    Service { unit: units::COTURN,             wanted: coturn::is_wanted,        render: coturn::render,      ports: coturn::PORTS, job: Some(COTURN_JOB), ..SERVICE },
    Service { unit: units::COTURN_EXPORTER,    wanted: coturn::is_counted,       render: coturn::exporter,    port: Some(ServicePort::Coturn), ..SERVICE },
    Service { unit: units::COMPRESSOR,         wanted: compressor::is_wanted,    render: compressor::render,  ..SERVICE },
    Service { unit: units::BACKUP,             wanted: backup::is_wanted,        render: backup::render,      directories: |_| BACKUP_DIRECTORIES, ..SERVICE },
    Service { unit: units::BACKUP_CHECK,       wanted: backup::is_wanted,        render: backup::render_check, ..SERVICE },
];

/// The directories of nginx, with that of its log if there is one.
fn nginx_directories(input: &Input) -> &'static [&'static str] {
    match nginx::keeps_requests(input) {
        true => NGINX_DIRECTORIES,
        false => &NGINX_DIRECTORIES[..2],
    }
}

/// The auxiliary services that these settings require. All of them run on the first host.
pub fn wanted<'a>(input: &'a Input) -> impl Iterator<Item = &'static Service> + use<'a> {
    let services = SERVICES.iter().filter(|_| input.is_first());
    services.filter(|service| (service.wanted)(input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::services;
    use std::collections::BTreeSet;

    #[test]
    fn both_tables_have_the_same_services() {
        let here: Vec<&str> = SERVICES.iter().map(|service| service.unit).collect();
        let there = services::SERVICES.iter().map(|service| service.unit);
        assert_eq!(here, there.collect::<Vec<_>>());
        assert!(
            here.iter()
                .all(|unit| services::unit_patterns().contains(unit))
        );
    }

    #[test]
    fn no_two_jobs_have_the_same_name() {
        let jobs = SERVICES.iter().filter_map(|service| service.job.as_ref());
        let names: Vec<&str> = jobs.map(|job| job.name).collect();
        let distinct: BTreeSet<&&str> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }
}
