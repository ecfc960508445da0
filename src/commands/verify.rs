//! `verify`: the probes of the running server.

use super::installed::installed;
use crate::cli::Common;
use crate::converge::verify as verification;
use crate::failure::{Code, Failure};
use crate::preflight::{self, Purpose};
use crate::report::outln;
use crate::request;
use anyhow::Context;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers verify` for the generation in use; later changes of the settings do not count.
pub fn verify(common: &Common) -> Result<ExitCode, Failure> {
    let (current, state, text) = installed()?;
    let text = text.with_context(|| format!("generation {current} has lost its settings"))?;
    let asked = request::of_generation(current, &text)?;
    let host = preflight::host(&asked, Purpose::Look)?;
    let facts = host.facts.for_rendering();
    let expected = verification::Expected::of(&asked.input(&facts), &state);
    let mut well = true;
    let mut results = Vec::new();
    for (name, result) in verification::probe(&host, &expected) {
        let (mark, text) = match &result {
            Ok(seen) => ("ok", seen.clone()),
            Err(error) => ("FAIL", format!("{error:#}")),
        };
        well &= result.is_ok();
        if common.json {
            results.push(json!({"probe": name, "ok": result.is_ok(), "seen": text}));
        } else {
            outln!("{mark:<4}  {name:<11} {text}");
        }
    }
    if common.json {
        outln!("{}", json!({"ok": well, "probes": results}));
    }
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        Code::Failed.into()
    })
}
