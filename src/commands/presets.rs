//! `presets`: the named sets of workers.

use crate::cli::Common;
use crate::failure::Failure;
use crate::report::outln;
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
    workers: &'static str,
}

impl From<&Preset> for Row {
    fn from(preset: &Preset) -> Self {
        Self {
            name: preset.name,
            description: preset.summary,
            cores: preset.cores,
            workers: preset.spec,
        }
    }
}

/// Runs `synapse-workers presets`.
pub fn presets(common: &Common) -> Result<ExitCode, Failure> {
    for row in PRESETS.iter().map(Row::from) {
        if common.json {
            outln!("{}", json!(row));
        } else {
            outln!("{:<8} {}", row.name, row.description);
            outln!("         {}", row.workers);
        }
    }
    Ok(ExitCode::SUCCESS)
}
