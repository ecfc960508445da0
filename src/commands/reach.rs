//! `reach`: how other homeservers and clients reach this server.

use super::installed::running;
use crate::cli::Common;
use crate::failure::{Code, Failure};
use crate::host;
use crate::reach::{Finding, Target, Verdict, findings};
use crate::report::outln;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers reach` for the generation in use, and records the verdict.
pub fn reach(common: &Common) -> Result<ExitCode, Failure> {
    let (_, request) = running()?;
    if host::find("curl").is_err() {
        return Err(
            Failure::preflight("curl is missing, which sends the requests of `reach`")
                .help("apt-get install curl, or dnf install curl"),
        );
    }
    let gathered = host::reach::gather(Target::of(&request.deployment));
    let findings = findings(&gathered);
    let verdict = Verdict::of(&findings, gathered.now);
    if host::is_root() {
        host::reach::record(&verdict)?;
    }
    if common.json {
        let Verdict { time, ok, .. } = verdict;
        outln!("{}", json!({"ok": ok, "time": time, "steps": findings}));
    } else {
        findings.iter().for_each(print);
    }
    Ok(match verdict.ok {
        true => ExitCode::SUCCESS,
        false => Code::Failed.into(),
    })
}

fn print(finding: &Finding) {
    let Finding {
        step,
        result,
        text,
        help,
    } = finding;
    outln!("{:<4}  {step:<16}  {text}", result.word());
    if let Some(help) = help {
        outln!("      help: {help}");
    }
}
