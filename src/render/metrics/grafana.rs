//! Provisioning files for a Grafana on this host: the data source and dashboards. Grafana reads the former when it
//! starts, the latter every minute (grafana.com, "Provision Grafana").

use super::super::StateBuilder;
use crate::state::paths;
use anyhow::Result;
use askama::Template;

/// The name of this server's Prometheus in Grafana. The dashboards refer to it.
const SOURCE: &str = "synapse-workers";

/// The dashboards in Grafana's export format: file name and contents. The last is for several hosts only.
static DASHBOARDS: &[(&str, &str)] = &[
    (
        "synapse-workers-overview",
        include_str!("../../../templates/grafana/synapse-workers-overview.json"),
    ),
    (
        "synapse-workers-processes",
        include_str!("../../../templates/grafana/synapse-workers-processes.json"),
    ),
    (
        "synapse-workers-hosts",
        include_str!("../../../templates/grafana/synapse-workers-hosts.json"),
    ),
];

#[derive(Template)]
#[template(path = "grafana/datasource.yaml")]
struct DataSource<'a> {
    uid: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "grafana/dashboards.yaml")]
struct Provider<'a> {
    directory: &'a str,
}

/// Adds the files if Grafana is installed.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    if !builder.input.facts.grafana {
        return Ok(());
    }
    let source = DataSource {
        uid: SOURCE,
        port: builder.input.settings.metrics.prometheus_port.number(),
    };
    let directory = format!("{}/grafana", paths::CURRENT);
    let provider = Provider {
        directory: &directory,
    };
    let place = |kind: &str| format!("host{}/{kind}/synapse-workers.yaml", paths::GRAFANA);
    builder.text(&place("datasources"), source.render()?);
    builder.text(&place("dashboards"), provider.render()?);
    let last = usize::from(!builder.input.has_other_hosts());
    for (name, dashboard) in &DASHBOARDS[..DASHBOARDS.len() - last] {
        builder.text(&format!("grafana/{name}.json"), (*dashboard).to_owned());
    }
    Ok(())
}
