//! Rotation of the access log from which metrics are derived: a timer, its service, and the configuration of logrotate.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::state::paths;
use crate::state::units;
use anyhow::{Context, Result};
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-logrotate.service")]
struct Service<'a> {
    sandbox: Sandbox,
    current: &'a str,
    /// The directory of the log.
    directory: &'a str,
}

#[derive(Template)]
#[template(path = "synapse-logrotate.timer")]
struct Timer;

#[derive(Template)]
#[template(path = "logrotate/access.conf")]
struct Configuration<'a> {
    access_log: &'a str,
}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.metrics.enabled && !input.settings.nginx.disable_logrotate
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let access_log = paths::ACCESS_LOG;
    let (directory, _) = access_log
        .rsplit_once('/')
        .context("a log is in a directory")?;
    let service = Service {
        sandbox: builder.sandbox(units::LOGROTATE_SERVICE)?,
        current: paths::CURRENT,
        directory,
    };
    builder.unit(units::LOGROTATE_SERVICE, service.render()?);
    builder.unit(units::LOGROTATE, Timer.render()?);
    builder.text(
        "logrotate/access.conf",
        Configuration { access_log }.render()?,
    );
    Ok(())
}
