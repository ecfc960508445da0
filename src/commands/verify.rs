//! `verify`: the probes of the running server.

use super::installed::running;
use crate::cli::Common;
use crate::converge::verify as verification;
use crate::failure::{Code, Failure};
use crate::preflight::{self, Purpose};
use crate::report::outln;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// The result of one probe.
#[derive(Serialize)]
struct Row {
    probe: &'static str,
    ok: bool,
    /// What the probe found, or the failure.
    seen: String,
}

/// Runs `synapse-workers verify` for the generation in use; later changes of the settings do not count.
pub fn verify(common: &Common) -> Result<ExitCode, Failure> {
    let (state, request) = running()?;
    let host = preflight::host(&request, Purpose::Inspect)?;
    let facts = host.facts.for_rendering();
    let expected = verification::Expected::of(&request.input(&facts), &state);
    let mut rows = Vec::new();
    verification::probe(&host, &expected, |probe, result| {
        let row = Row {
            probe,
            ok: result.is_ok(),
            seen: result.unwrap_or_else(|error| format!("{error:#}")),
        };
        // Probes may take seconds, so each line is printed as soon as it is known.
        if !common.json {
            let mark = if row.ok { "ok" } else { "FAIL" };
            outln!("{mark:<4}  {:<11} {}", row.probe, row.seen);
        }
        rows.push(row);
    });
    let ok = rows.iter().all(|row| row.ok);
    if common.json {
        outln!("{}", json!({"ok": ok, "probes": rows}));
    }
    Ok(if ok {
        ExitCode::SUCCESS
    } else {
        Code::Failed.into()
    })
}
