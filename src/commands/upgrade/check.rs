//! `upgrade --check`: whether there is a newer release, for monitoring. Changes nothing and takes no lock.

use super::super::installed::running;
use super::server::release_of;
use crate::cli::Common;
use crate::failure::{Code, Failure};
use crate::host::facts::Facts;
use crate::host::releases::Origin;
use crate::report::outln;
use serde::Serialize;
use serde_json::json;
use std::process::ExitCode;

/// The JSON of `upgrade --check`.
#[derive(Serialize)]
struct Answer<'a> {
    /// The release that runs.
    running: &'a str,
    /// The newest one that pip or the package manager offers.
    newest: &'a str,
    /// Whether an upgrade is possible.
    newer: bool,
}

/// Prints one line. The exit status is 2 if there is a newer release.
///
/// # Errors
/// When nothing is installed, or when pip or the package manager does not answer.
pub fn check(common: &Common) -> Result<ExitCode, Failure> {
    let (state, request) = running()?;
    let facts = Facts::gather(&request);
    let version = release_of(&state)?;
    let found = facts.synapse.as_ref();
    let installed = found.map_or(&version, |found| &found.version);
    let available = Origin::of(&facts).available(installed)?;
    // A package that was upgraded, and whose processes still run with the old release.
    let pending = found.is_some_and(|found| found.version != version);
    let newer = available.newer || pending;
    let newest = &available.newest;
    if common.json {
        let answer = Answer {
            running: &version,
            newest,
            newer,
        };
        outln!("{}", json!(answer));
    } else if available.newer {
        outln!("Synapse {version} runs, and {newest} is available: synapse-workers upgrade");
    } else if pending {
        outln!("Synapse {version} runs, and {installed} is installed: synapse-workers install");
    } else {
        outln!("Synapse {version} runs, and no newer release is available");
    }
    Ok(match newer {
        true => Code::Pending.into(),
        false => ExitCode::SUCCESS,
    })
}
