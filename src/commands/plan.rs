//! `plan`: prints the steps of an install without applying them.

use super::apply::refuse;
use super::hosts;
use super::prepared::prepare;
use crate::cli::{Common, Flags};
use crate::failure::{Code, Failure};
use crate::plan::step::Step;
use crate::preflight::{Finding, Purpose};
use crate::report::{self, out, outln};
use crate::request::SettingsEdit as Change;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// A step in the JSON of `plan`: its fields, and its printed form.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    step: &'a Step,
    changes: bool,
    line: String,
}

impl<'a> Line<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            step,
            changes: step.changes(),
            line: step.to_string(),
        }
    }
}

/// Runs `synapse-workers plan`.
pub fn plan(common: &Common, flags: &Flags, detailed: bool) -> Result<ExitCode, Failure> {
    let prepared = prepare(common, flags, &Change::None, Purpose::Run)?;
    let plan = prepared.plan(&prepared.goal("plan".to_owned()));
    refuse(&prepared.host, &prepared.desired, &plan, &prepared.observed)?;
    for note in prepared.notes() {
        report::complain(note);
    }
    let others = &prepared.others;
    hosts::print_notes(others, report::complain);
    let changes = plan.changes() + hosts::changes(others);
    if common.json {
        let steps: Vec<Line> = plan.steps.iter().map(Line::of).collect();
        let size = &prepared.size;
        outln!(
            "{}",
            json!({"changes": changes, "steps": steps, "size": size, "other_hosts": hosts::json(others)})
        );
    } else {
        out!("{plan}");
        hosts::print(others);
        outln!("{changes} to change");
        outln!("{}", prepared.size);
    }
    for Finding { problem, cure } in &prepared.warnings {
        report::complain(format!("warning: {problem}\n  help: {cure}"));
    }
    Ok(
        if detailed && !(plan.is_empty() && hosts::are_done(others)) {
            Code::Pending.into()
        } else {
            ExitCode::SUCCESS
        },
    )
}
