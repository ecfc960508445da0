//! `doctor`: the preflight checks, each finding with its remedy.

use super::time::utc;
use crate::cli::{Common, Flags};
use crate::failure::{Code, Failure};
use crate::host;
use crate::preflight::{self, Comparison, Examined, Purpose};
use crate::render::Input;
use crate::render::warm::decision::Decision;
use crate::report::outln;
use crate::request;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// The result of one check.
#[derive(Serialize)]
struct Row {
    check: &'static str,
    result: &'static str,
    problem: Option<String>,
    cure: Option<String>,
    /// What this program has decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// Runs `synapse-workers doctor`.
pub fn doctor(common: &Common, flags: &Flags) -> Result<ExitCode, Failure> {
    let request = request::load_or_placeholder(common, flags)?;
    let found = preflight::inspect(&request, Purpose::Run)?;
    let examined = found.examined(&request);
    let rows = preflight::examine(&examined).map(|(check, finding)| {
        let result = match (&finding, check.fatal) {
            (None, _) => "ok",
            (Some(_), true) => "FAIL",
            (Some(_), false) => "warn",
        };
        let (problem, cure) = finding
            .map(|finding| (finding.problem, finding.cure))
            .unzip();
        Row {
            check: check.name,
            result,
            problem,
            cure,
            note: None,
        }
    });
    let rows: Vec<Row> = rows
        .chain([warm_start(&examined), reachability()])
        .collect();
    if common.json {
        outln!("{}", json!(rows));
    } else {
        rows.iter().for_each(print);
        for note in &request.notes {
            outln!("note: {note}");
        }
        outln!("{}", Comparison::of(&examined));
    }
    Ok(if rows.iter().any(|row| row.result == "FAIL") {
        Code::Preflight.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// How processes start, and why.
fn warm_start(at: &Examined) -> Row {
    let facts = at.facts.for_rendering();
    let input = Input::new(at.scope.deployment, &facts);
    Row {
        check: "warm start",
        result: "ok",
        problem: None,
        cure: None,
        note: Some(Decision::of(&input).to_string()),
    }
}

/// The last verdict of `reach`.
fn reachability() -> Row {
    let verdict = host::reach::verdict();
    let note = verdict.as_ref().map_or_else(
        || "not checked yet (synapse-workers reach)".to_owned(),
        |verdict| format!("as of {}", utc(verdict.time)),
    );
    let fault = verdict.and_then(|verdict| verdict.failed);
    let (problem, cure) = fault.map(|fault| (fault.problem, fault.help)).unzip();
    Row {
        check: "other homeservers and clients reach the server",
        result: if problem.is_some() { "warn" } else { "ok" },
        problem,
        cure: cure.map(|help| format!("{help}; then: synapse-workers reach")),
        note: Some(note),
    }
}

fn print(row: &Row) {
    match &row.note {
        Some(note) => outln!("{:<4}  {}: {note}", row.result, row.check),
        None => outln!("{:<4}  {}", row.result, row.check),
    }
    if let Some(problem) = &row.problem {
        outln!("      {problem}");
    }
    if let Some(cure) = &row.cure {
        outln!("      help: {cure}");
    }
}
