//! Logging: one configuration for all of Synapse's processes, or one for each where each writes a file of its own.

use super::{Input, Sheaf, filters};
use crate::paths;
use crate::settings::value::Scalar;
use anyhow::Result;
use askama::Template;

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
    match per_process(input) {
        true => format!("synapse/logs/{process}.yaml"),
        false => "synapse/log.yaml".to_owned(),
    }
}

/// A file of the administrator's counts for all, and says itself where logs go.
fn per_process(input: &Input) -> bool {
    input.settings.log_to_disk && input.named.log_config.is_none()
}

/// Whether processes write log files, as far as is known here.
pub(super) fn on_disk(input: &Input) -> bool {
    input.settings.log_to_disk || input.named.log_config.is_some()
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    if let Some(own) = &input.named.log_config {
        sheaf.add("synapse/log.yaml", own.clone(), &[]).private = true;
        return Ok(());
    }
    let log = |file| Log {
        level: input.settings.log_level.show(),
        sensitive: input.settings.log_sensitive,
        file,
    };
    if !per_process(input) {
        sheaf.text("synapse/log.yaml", log(None).render()?);
        return Ok(());
    }
    let workers = input.topology.workers.iter();
    for process in workers.map(|worker| worker.name.as_str()).chain(["main"]) {
        let file = format!("{}/{process}.log", paths::SYNAPSE_LOGS);
        sheaf.text(&configuration(input, process), log(Some(file)).render()?);
    }
    Ok(())
}
