//! Logging: one configuration for all of Synapse's processes, or one for each where each writes a file of its own.
//!
//! Synapse reads it again on SIGHUP (config/logger.py), and Python then changes only the loggers that it names. A file of
//! the administrator's may drop loggers and may write to `sys.stderr`, which Synapse has replaced by its log: it has a path
//! of its own, whose rule is a restart.

use super::{Input, StateBuilder, filters};
use crate::settings::value::Scalar;
use crate::state::paths;
use anyhow::Result;
use askama::Template;

/// The one configuration of ours, and the administrator's own in a generation.
const OURS: &str = "synapse/log.yaml";
const OWN: &str = "synapse/own-log.yaml";

#[derive(Template)]
#[template(path = "synapse/log.yaml")]
struct Log {
    level: String,
    sensitive: bool,
    /// Where else than to the journal.
    file: Option<String>,
}

/// The path in a generation of what this process reads.
pub(super) fn configuration(input: &Input, process: &str) -> String {
    // A file of the administrator's counts for all, and says itself where logs go.
    match (&input.named.log_config, input.settings.log_to_disk) {
        (Some(_), _) => OWN.to_owned(),
        (None, true) => format!("synapse/logs/{process}.yaml"),
        (None, false) => OURS.to_owned(),
    }
}

/// Whether processes write log files, as far as is known here.
pub(super) fn on_disk(input: &Input) -> bool {
    input.settings.log_to_disk || input.named.log_config.is_some()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    if let Some(own) = &input.named.log_config {
        builder.add(OWN, own.clone(), &[]).private = true;
        return Ok(());
    }
    let log = |file| Log {
        level: input.settings.log_level.show(),
        sensitive: input.settings.log_sensitive,
        file,
    };
    if !input.settings.log_to_disk {
        builder.text(OURS, log(None).render()?);
        return Ok(());
    }
    let workers = input.topology.workers.iter();
    for process in workers.map(|worker| worker.name.as_str()).chain(["main"]) {
        let file = format!("{}/{process}.log", paths::SYNAPSE_LOGS);
        builder.text(&configuration(input, process), log(Some(file)).render()?);
    }
    Ok(())
}
