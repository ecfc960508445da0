//! Prometheus: a target for each thing that runs and has metrics, and for nothing else.

use super::super::{Input, Sheaf, filters, services};
use crate::endpoints::{ServicePort, loopback};
use crate::paths;
use crate::plan::names;
use crate::settings::Settings;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-prometheus.service")]
struct Unit<'a> {
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
    processes: Vec<Process<'a>>,
    services: Vec<Target>,
}

/// A process of Synapse. `job` and `index` group the graphs of Synapse's own dashboards (docs/metrics-howto.md), where
/// the main process is `synapse` (contrib/grafana/synapse.json).
struct Process<'a> {
    name: &'a str,
    job: &'a str,
    index: u16,
    address: String,
}

/// Another program.
struct Target {
    job: &'static str,
    address: String,
}

/// The job of each program that has metrics, with the unit without which there is none.
static JOBS: &[(&str, &str, ServicePort)] = &[
    ("nginx", names::NGINX_EXPORTER, ServicePort::NginxExporter),
    (
        "nginx_log",
        names::NGINX_LOG_EXPORTER,
        ServicePort::NginxLogExporter,
    ),
    ("redis", names::REDIS_EXPORTER, ServicePort::RedisExporter),
    (
        "postgres",
        names::POSTGRES_EXPORTER,
        ServicePort::PostgresExporter,
    ),
    ("coturn", names::COTURN, ServicePort::Coturn),
];

/// Rules and pages, by their path in a generation.
static FILES: &[(&str, &str)] = &[
    (
        "prometheus/rules/recording.yml",
        include_str!("../../../templates/prometheus/rules/recording.yml"),
    ),
    (
        "prometheus/rules/alerts.yml",
        include_str!("../../../templates/prometheus/rules/alerts.yml"),
    ),
];

/// Adds Prometheus' unit, its configuration, rules and pages.
pub fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let metrics = &input.settings.metrics;
    let unit = Unit {
        current: paths::CURRENT,
        storage: paths::PROMETHEUS,
        retention: metrics.retention.as_str(),
        port: metrics.prometheus_port.number(),
    };
    sheaf.unit(names::PROMETHEUS, unit.render()?);
    let configuration = Configuration {
        settings: input.settings,
        server_name: input.settings.server_name.as_str(),
        processes: processes(input),
        services: targets(input),
    };
    sheaf.text("prometheus/prometheus.yml", configuration.render()?);
    for (path, text) in FILES {
        sheaf.add(path, text.as_bytes().to_vec(), &[]);
    }
    Ok(())
}

fn processes<'a>(input: &Input<'a>) -> Vec<Process<'a>> {
    let endpoints = input.endpoints();
    let address = |name: &str| loopback(endpoints.metrics(name)).to_string();
    let main = Process {
        name: "main",
        job: "synapse",
        index: 1,
        address: address("main"),
    };
    let workers = input.topology.workers.iter().map(|worker| Process {
        name: &worker.name,
        job: &worker.spec_name,
        index: worker.index,
        address: address(&worker.name),
    });
    std::iter::once(main).chain(workers).collect()
}

fn targets(input: &Input) -> Vec<Target> {
    let endpoints = input.endpoints();
    let runs = |unit: &str| services::wanted(input).any(|service| service.unit == unit);
    let coturn = |unit: &str| unit != names::COTURN || input.settings.coturn.metrics;
    let own = Target {
        job: "prometheus",
        address: loopback(input.settings.metrics.prometheus_port.number()).to_string(),
    };
    let others = JOBS
        .iter()
        .filter(|(_, unit, _)| runs(unit) && coturn(unit))
        .map(|(job, _, port)| Target {
            job,
            address: loopback(endpoints.service(*port)).to_string(),
        });
    std::iter::once(own).chain(others).collect()
}
