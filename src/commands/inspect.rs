//! Commands that ask what runs, and the host: `verify`, `doctor`.

use crate::cli::{Common, Flags};
use crate::converge::verify as verification;
use crate::failure::{Code, Failure};
use crate::host::Host;
use crate::preflight::{self, Purpose};
use crate::report::outln;
use crate::request;
use crate::state::State;
use anyhow::Context;
use serde_json::json;
use std::process::ExitCode;

/// The generation in use, what it describes, and its settings.
pub(super) fn installed() -> Result<(u32, State, Option<String>), Failure> {
    let current = Host::current().ok_or_else(|| {
        Failure::preflight("nothing is installed here; run: synapse-workers install")
    })?;
    let (state, text) = Host::generation(current)?;
    Ok((current, state, text))
}

/// `synapse-workers verify`: of what was installed, whatever the settings say by now.
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

/// `synapse-workers doctor`.
pub fn doctor(common: &Common, flags: &Flags) -> Result<ExitCode, Failure> {
    let asked = request::load_or_placeholder(common, flags)?;
    let found = preflight::look(&asked, Purpose::Run)?;
    let mut refused = false;
    let mut results = Vec::new();
    for (check, finding) in preflight::examine(&found.examined(&asked)) {
        refused |= check.fatal && finding.is_some();
        let mark = match (&finding, check.fatal) {
            (None, _) => "ok",
            (Some(_), true) => "FAIL",
            (Some(_), false) => "warn",
        };
        if common.json {
            results.push(json!({
                "check": check.name,
                "result": mark,
                "problem": finding.as_ref().map(|finding| &finding.problem),
                "cure": finding.as_ref().map(|finding| &finding.cure),
            }));
            continue;
        }
        outln!("{mark:<4}  {}", check.name);
        if let Some(finding) = finding {
            outln!("      {}\n      help: {}", finding.problem, finding.cure);
        }
    }
    if common.json {
        outln!("{}", json!(results));
    }
    Ok(if refused {
        Code::Preflight.into()
    } else {
        ExitCode::SUCCESS
    })
}
