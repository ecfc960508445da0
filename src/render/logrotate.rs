//! Rotation of nginx's logs: a timer, its service, and the configuration of logrotate.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder, nginx};
use crate::state::paths;
use crate::state::units;
use anyhow::{Context, Result};
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-logrotate.service")]
struct Service<'a> {
    sandbox: Sandbox,
    current: &'a str,
    /// The directory of logrotate's state file, which is removed with the log in it.
    directory: &'a str,
}

#[derive(Template)]
#[template(path = "synapse-logrotate.timer")]
struct Timer;

#[derive(Template)]
#[template(path = "logrotate/access.conf")]
struct Configuration {
    logs: Vec<Log>,
}

/// A log that is rotated.
struct Log {
    path: &'static str,
    directory: &'static str,
    /// The number of old logs that are kept, one for each day.
    kept: u32,
}

/// The logs of these settings.
fn logs(input: &Input) -> Vec<Log> {
    let settings = &input.settings;
    // mtail reads the log as it is written, so old lines are not needed for long.
    let metrics = Log {
        path: paths::ACCESS_LOG,
        directory: paths::NGINX_LOGS,
        kept: 2,
    };
    let requests = Log {
        path: paths::REQUEST_LOG,
        directory: paths::REQUEST_LOGS,
        kept: 6,
    };
    let metrics = settings.metrics.enabled.then_some(metrics);
    let requests = nginx::keeps_requests(input).then_some(requests);
    metrics.into_iter().chain(requests).collect()
}

pub(super) fn is_wanted(input: &Input) -> bool {
    nginx::logs_requests(input) && !input.settings.nginx.disable_logrotate
}

/// The directories of the logs.
pub(super) fn writes(input: &Input) -> Vec<String> {
    let logs = logs(input).into_iter();
    logs.map(|log| log.directory.to_owned()).collect()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let logs = logs(builder.input);
    let first = logs.first().context("without a log nothing is rotated")?;
    let service = Service {
        sandbox: builder.sandbox(units::LOGROTATE_SERVICE)?,
        current: paths::CURRENT,
        directory: first.directory,
    };
    builder.unit(units::LOGROTATE_SERVICE, service.render()?);
    builder.unit(units::LOGROTATE, Timer.render()?);
    builder.text("logrotate/access.conf", Configuration { logs }.render()?);
    Ok(())
}
