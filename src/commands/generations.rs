//! `generations`: the generations that this host can roll back to.

use super::time::utc;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::Host;
use crate::report::outln;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers generations`.
pub fn generations(common: &Common) -> Result<ExitCode, Failure> {
    let generations = Host::generations();
    if common.json {
        let list: Vec<_> = generations
            .iter()
            .map(|generation| match &generation.manifest {
                Ok(manifest) => json!({
                    "number": generation.number,
                    "made": manifest.created,
                    "current": generation.current,
                    "summary": manifest.summary,
                    "units": manifest.state.units.len(),
                }),
                Err(error) => json!({
                    "number": generation.number,
                    "current": generation.current,
                    "damaged": format!("{error:#}"),
                }),
            })
            .collect();
        outln!("{}", json!(list));
        return Ok(ExitCode::SUCCESS);
    }
    if generations.is_empty() {
        outln!("No generations: nothing is installed here.");
    }
    for generation in generations {
        let (number, current) = (generation.number, generation.current);
        let current = if current { "current" } else { "" };
        match generation.manifest {
            Ok(manifest) => outln!(
                "{number:>4}  {}  {current:<8} {:>3} units  {}",
                utc(manifest.created),
                manifest.state.units.len(),
                manifest.summary
            ),
            Err(error) => outln!("{number:>4}  {:<20}  {current:<8} {error:#}", "damaged"),
        }
    }
    Ok(ExitCode::SUCCESS)
}
