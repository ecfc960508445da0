//! Prometheus: its unit and its configuration.

use super::super::sandbox::Sandbox;
use super::super::service::{Ports, local};
use super::super::{StateBuilder, alerts, filters};
use super::{Target, grafana, pages};
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
    /// In bytes.
    retention_size: u64,
    port: u16,
}

#[derive(Template)]
#[template(path = "prometheus/prometheus.yml")]
struct Configuration<'a> {
    settings: &'a Settings,
    server_name: &'a str,
    synapse_path: &'a str,
    targets: &'a [Target],
    /// The Alertmanager that alerts are sent to.
    alertmanager: Option<SocketAddr>,
}

/// The path at which Synapse serves metrics (docs/metrics-howto.md).
pub(in crate::render) const SYNAPSE_PATH: &str = "/_synapse/metrics";

/// The port of Prometheus.
pub(in crate::render) const PORTS: &[Ports] = &[Ports {
    setting: "metrics.prometheus_port",
    bound: |input| local(input.settings.metrics.prometheus_port.number()),
}];

pub fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let metrics = &input.settings.metrics;
    let unit = Unit {
        sandbox: builder.sandbox(units::PROMETHEUS)?,
        current: paths::CURRENT,
        storage: paths::PROMETHEUS,
        retention: metrics.retention.as_str(),
        retention_size: input.sizes().retention_size,
        port: metrics.prometheus_port.number(),
    };
    builder.unit(units::PROMETHEUS, unit.render()?);
    let configuration = Configuration {
        settings: &input.settings,
        server_name: input.settings.server_name.as_str(),
        synapse_path: SYNAPSE_PATH,
        targets: &builder.targets,
        alertmanager: alerts::is_wanted(input)
            .then(|| loopback(input.endpoints().service(ServicePort::Alertmanager))),
    };
    let configuration = configuration.render()?;
    builder.text("prometheus/prometheus.yml", configuration);
    pages::render(builder)?;
    grafana::render(builder)
}
