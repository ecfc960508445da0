//! `doctor`: the preflight checks, each finding with its remedy.

use crate::cli::{Common, Flags};
use crate::failure::{Code, Failure};
use crate::preflight::{self, Purpose};
use crate::report::outln;
use crate::request;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers doctor`.
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
