//! Metrics of this host that no exporter provides: free space of data directories, and the expiry of the certificate. A
//! timer runs a script that writes them to a file, which nginx serves to Prometheus.

use super::super::sandbox::Sandbox;
use super::super::{StateBuilder, filters};
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-host-metrics.service")]
struct Service<'a> {
    sandbox: Sandbox,
    current: &'a str,
    file: &'a str,
    /// Directories to measure: label and path.
    directories: [(&'a str, &'a str); 3],
    certificate: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "synapse-host-metrics.timer")]
struct Timer;

/// Adds the timer, its service and the script.
pub fn render(builder: &mut StateBuilder) -> Result<()> {
    let settings = &builder.input.settings;
    let service = Service {
        sandbox: builder.sandbox(units::HOST_METRICS_SERVICE)?,
        current: paths::CURRENT,
        file: paths::HOST_METRICS,
        directories: [
            ("data", paths::DATA),
            ("media", settings.media_store_path.as_str()),
            ("metrics", paths::PROMETHEUS),
        ],
        certificate: settings.tls.certificate_file(),
    };
    builder.unit(units::HOST_METRICS_SERVICE, service.render()?);
    builder.unit(units::HOST_METRICS, Timer.render()?);
    let script = include_bytes!("../../../templates/metrics/host.sh");
    builder.add("metrics/host.sh", script.to_vec(), &[]);
    Ok(())
}
