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

#[derive(Template)]
#[template(path = "metrics/host.sh", escape = "none")]
struct Script {
    /// The record of the last backup, and the file that exists since backups are configured.
    backup: Option<(&'static str, String)>,
}

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
    let configured = || paths::secret(paths::BACKUP_PASSWORD);
    let script = Script {
        backup: settings
            .backup
            .is_on()
            .then(|| (paths::LAST_BACKUP, configured())),
    };
    builder.text("metrics/host.sh", script.render()?);
    Ok(())
}
