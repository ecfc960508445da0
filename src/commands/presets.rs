//! `presets`: the named sets of workers.

use crate::cli::Common;
use crate::failure::Failure;
use crate::host;
use crate::report::outln;
use crate::state::host_size::show_memory;
use crate::topology::needs::{self, Choice};
use crate::topology::{PRESETS, Preset};
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// One preset.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    description: &'static str,
    cores: u16,
    /// The memory in bytes that a server with users needs, with PostgreSQL and the system.
    memory: u64,
    /// Whether the first `install` on this host would choose it.
    fits: bool,
    workers: &'static str,
}

impl Row {
    fn new(preset: &Preset, choice: &Choice) -> Self {
        Self {
            name: preset.name,
            description: preset.summary,
            cores: preset.cores,
            memory: needs::needed(preset),
            fits: choice.preset.is_some_and(|it| it.name == preset.name),
            workers: preset.spec,
        }
    }
}

/// Runs `synapse-workers presets`.
pub fn presets(common: &Common) -> Result<ExitCode, Failure> {
    let choice = needs::choose(&host::size());
    for row in PRESETS.iter().map(|preset| Row::new(preset, &choice)) {
        if common.json {
            outln!("{}", json!(row));
        } else {
            let memory = show_memory(row.memory);
            let fits = if row.fits { ", for this host" } else { "" };
            outln!("{:<8} {}", row.name, row.description);
            outln!(
                "         {} processors and {memory} of memory{fits}",
                row.cores
            );
            outln!("         {}", row.workers);
        }
    }
    if !common.json {
        outln!("  The first install here chooses: {}", choice.reason);
    }
    Ok(ExitCode::SUCCESS)
}
