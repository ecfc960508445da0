//! Prometheus: one target for every running program that has metrics.

use super::super::sandbox::Sandbox;
use super::super::{Input, StateBuilder, filters, services};
use super::{grafana, over_socket, path_of, wanted};
use crate::deployment::endpoints::{ServicePort, loopback};
use crate::settings::Settings;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::SocketAddr;

#[derive(Template)]
#[template(path = "synapse-prometheus.service")]
struct Unit<'a> {
    sandbox: Sandbox,
    current: &'a str,
    storage: &'a str,
    retention: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "prometheus/prometheus.yml")]
struct Configuration<'a> {
    settings: &'a Settings,
    server_name: &'a str,
    synapse_path: &'a str,
    targets: Vec<Target>,
}

/// A Prometheus target.
pub struct Target {
    /// The name in messages and labels: a process of Synapse, or a job.
    pub name: String,
    /// The port on 127.0.0.1 that serves the metrics.
    pub port: u16,
    /// The path of the HTTP request that returns the metrics.
    pub path: String,
    /// The labels `job` and `index` of a process of Synapse.
    process: Option<(String, u16)>,
}

impl Target {
    fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}

/// The path at which Synapse serves metrics (docs/metrics-howto.md).
pub(in crate::render) const SYNAPSE_PATH: &str = "/_synapse/metrics";

/// A program with metrics. Its name is the job's name.
struct Job {
    name: &'static str,
    /// The unit that serves the metrics.
    unit: &'static str,
    port: ServicePort,
    path: &'static str,
    /// Whether the program exports metrics under these settings.
    told: fn(&Settings) -> bool,
}

const fn job(name: &'static str, unit: &'static str, port: ServicePort) -> Job {
    Job {
        name,
        unit,
        port,
        path: "/metrics",
        told: |_| true,
    }
}

/// All jobs except Prometheus itself, which needs none of these units.
static JOBS: &[Job] = &[
    job("nginx", units::NGINX_EXPORTER, ServicePort::NginxExporter),
    job(
        "nginx_log",
        units::NGINX_LOG_EXPORTER,
        ServicePort::NginxLogExporter,
    ),
    job("redis", units::REDIS_EXPORTER, ServicePort::RedisExporter),
    job(
        "postgres",
        units::POSTGRES_EXPORTER,
        ServicePort::PostgresExporter,
    ),
    Job {
        told: |settings| settings.coturn.metrics,
        ..job("coturn", units::COTURN, ServicePort::Coturn)
    },
    Job {
        path: "/host",
        ..job("host", units::HOST_METRICS, ServicePort::NginxStatus)
    },
];

/// Rules and console pages, by their path in a generation.
static FILES: &[(&str, &str)] = &[
    (
        "prometheus/rules/recording.yml",
        include_str!("../../../templates/prometheus/rules/recording.yml"),
    ),
    (
        "prometheus/rules/alerts.yml",
        include_str!("../../../templates/prometheus/rules/alerts.yml"),
    ),
    (
        "prometheus/consoles/index.html",
        include_str!("../../../templates/prometheus/consoles/index.html"),
    ),
    (
        "prometheus/consoles/worker.html",
        include_str!("../../../templates/prometheus/consoles/worker.html"),
    ),
    (
        "prometheus/consoles/routes.html",
        include_str!("../../../templates/prometheus/consoles/routes.html"),
    ),
    (
        "prometheus/console_libraries/synapse.lib",
        include_str!("../../../templates/prometheus/console_libraries/synapse.lib"),
    ),
    (
        "prometheus/console_libraries/charts.lib",
        include_str!("../../../templates/prometheus/console_libraries/charts.lib"),
    ),
];

/// Adds Prometheus' unit, its configuration, rules and console pages.
pub fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let metrics = &input.settings.metrics;
    let unit = Unit {
        sandbox: builder.sandbox(units::PROMETHEUS)?,
        current: paths::CURRENT,
        storage: paths::PROMETHEUS,
        retention: metrics.retention.as_str(),
        port: metrics.prometheus_port.number(),
    };
    builder.unit(units::PROMETHEUS, unit.render()?);
    let configuration = Configuration {
        settings: &input.settings,
        server_name: input.settings.server_name.as_str(),
        synapse_path: SYNAPSE_PATH,
        targets: targets(input),
    };
    builder.text("prometheus/prometheus.yml", configuration.render()?);
    for (path, text) in FILES {
        builder.add(path, text.as_bytes().to_vec(), &[]);
    }
    grafana::render(builder)
}

/// All targets. The labels `job` and `index` of a process group the graphs of Synapse's own dashboards
/// (docs/metrics-howto.md), in which the main process is called `synapse` (contrib/grafana/synapse.json).
pub fn targets(input: &Input) -> Vec<Target> {
    if !wanted(input) {
        return Vec::new();
    }
    let endpoints = input.endpoints();
    let process = |name: &str, job: &str, index: u16| {
        let (port, path) = match over_socket(input) {
            true => (endpoints.service(ServicePort::NginxStatus), path_of(name)),
            false => (endpoints.metrics(name), SYNAPSE_PATH.to_owned()),
        };
        Target {
            name: name.to_owned(),
            port,
            path,
            process: Some((job.to_owned(), index)),
        }
    };
    let other = |name: &str, port: u16, path: &'static str| Target {
        name: name.to_owned(),
        port,
        path: path.to_owned(),
        process: None,
    };
    let mut targets = vec![process("main", "synapse", 1)];
    let workers = input.topology.workers.iter();
    targets.extend(workers.map(|worker| process(&worker.name, &worker.spec_name, worker.index)));
    let own = input.settings.metrics.prometheus_port.number();
    targets.push(other("prometheus", own, "/metrics"));
    let runs = |unit: &str| services::wanted(input).any(|service| service.unit == unit);
    let jobs = JOBS
        .iter()
        .filter(|job| runs(job.unit) && (job.told)(&input.settings));
    targets.extend(jobs.map(|job| other(job.name, endpoints.service(job.port), job.path)));
    targets
}
