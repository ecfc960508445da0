//! `presets`: the named sets of workers.

use crate::cli::Common;
use crate::failure::Failure;
use crate::report::outln;
use crate::topology::{self};
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers presets`.
pub fn presets(common: &Common) -> Result<ExitCode, Failure> {
    for preset in &topology::PRESETS {
        if common.json {
            outln!(
                "{}",
                json!({"name": preset.name, "description": preset.summary, "cores": preset.cores, "workers": preset.spec})
            );
        } else {
            outln!("{:<8} {}", preset.name, preset.summary);
            outln!("         {}", preset.spec);
        }
    }
    Ok(ExitCode::SUCCESS)
}
