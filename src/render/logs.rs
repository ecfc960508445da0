//! Logging: one configuration for all of Synapse's processes, or one per process if each writes its own log file.
//!
//! Synapse reloads the configuration on SIGHUP (config/logger.py), and Python then changes only the loggers that it
//! names. A log configuration of the administrator may drop loggers and may write to `sys.stderr`, which Synapse has
//! replaced by its log. It therefore has its own path, whose restart rule is a restart.

use super::{Input, StateBuilder, filters};
use crate::settings::value::Scalar;
use crate::state::paths;
use anyhow::Result;
use askama::Template;

/// The directory of the formatter for the journal, as a path in a generation.
const PYTHON: &str = "synapse/python";

/// The rendered configuration, and the copy of the administrator's, as paths in a generation.
const OURS: &str = "synapse/log.yaml";
const OWN: &str = "synapse/own-log.yaml";

#[derive(Template)]
#[template(path = "synapse/log.yaml")]
struct Log {
    level: String,
    sensitive: bool,
    /// The log file, if logs go to a file besides the journal.
    file: Option<String>,
}

#[derive(Template)]
#[template(path = "synapse/journal_log.py")]
struct Formatter {}

/// The directory that Synapse's Python imports the formatter from. `None` with a log configuration of the
/// administrator, which works without it and prefixes no line with its priority.
pub(super) fn python_path(input: &Input) -> Option<String> {
    let ours = input.referenced.log_config.is_none();
    ours.then(|| format!("{}/{PYTHON}", paths::CURRENT))
}

/// The path in a generation of the log configuration of a process.
pub(super) fn configuration(input: &Input, process: &str) -> String {
    // The administrator's file applies to all processes and determines where logs go.
    match (&input.referenced.log_config, input.settings.log_to_disk) {
        (Some(_), _) => OWN.to_owned(),
        (None, true) => format!("synapse/logs/{process}.yaml"),
        (None, false) => OURS.to_owned(),
    }
}

/// Whether processes write log files, or may do so because of the administrator's log configuration.
pub(super) fn on_disk(input: &Input) -> bool {
    input.settings.log_to_disk || input.referenced.log_config.is_some()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    if let Some(own) = &input.referenced.log_config {
        builder.add(OWN, own.clone(), &[]).private = true;
        return Ok(());
    }
    builder.text(&format!("{PYTHON}/journal_log.py"), Formatter {}.render()?);
    let log = |file| Log {
        level: input.settings.log_level.show(),
        sensitive: input.settings.log_sensitive,
        file,
    };
    if !input.settings.log_to_disk {
        builder.text(OURS, log(None).render()?);
        return Ok(());
    }
    let workers = input.workers().map(|worker| worker.name.as_str());
    for process in workers.chain(input.is_first().then_some("main")) {
        let file = format!("{}/{process}.log", paths::SYNAPSE_LOGS);
        builder.text(&configuration(input, process), log(Some(file)).render()?);
    }
    Ok(())
}
