//! `backup list`: the backups of this server in the repository.

use super::existing::existing;
use super::now::size;
use crate::cli::Common;
use crate::commands::time::utc;
use crate::failure::Failure;
use crate::host::backup::Run;
use crate::report::outln;
use crate::request::Request;
use crate::settings::value::Scalar;
use serde_json::json;
use std::process::ExitCode;

/// Lists the backups, the newest last.
pub fn list(common: &Common, request: &Request) -> Result<ExitCode, Failure> {
    let runs = existing(request)?.runs(Some(&request.settings.server_name.show()))?;
    if common.json {
        outln!("{}", json!(runs));
        return Ok(ExitCode::SUCCESS);
    }
    if runs.is_empty() {
        outln!("No backups; to make one: synapse-workers backup now");
        return Ok(ExitCode::SUCCESS);
    }
    table(&runs);
    Ok(ExitCode::SUCCESS)
}

/// Prints the backups as a table.
pub fn table(runs: &[Run]) {
    outln!(
        "{:<8}  {:<20}  {:>9}  {:<10}  CONTENTS",
        "ID",
        "TIME",
        "SIZE",
        "STATE"
    );
    for run in runs {
        let state = if run.complete {
            "complete"
        } else {
            "incomplete"
        };
        let parts: Vec<&str> = run.parts.keys().map(|part| part.word()).collect();
        outln!(
            "{:<8}  {:<20}  {:>9}  {state:<10}  {}",
            run.id,
            utc(run.time),
            run.bytes.map_or("-".to_owned(), size),
            parts.join(", ")
        );
    }
}
