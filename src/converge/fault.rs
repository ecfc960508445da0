//! Fail points, in debug builds only: tests have a run end, fail or wait at the boundary of a step. A release build has none.

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, raise};

/// `SW_FAULT=kill@3` ends the run before its fourth step as SIGKILL does; `fail@3` has that step fail; `int@3` and `term@3`
/// send the process SIGINT or SIGTERM there; `pause@3` stops it until it is sent SIGCONT. In place of the number, a part of the step's line.
const VARIABLE: &str = "SW_FAULT";

/// Does what the variable asks for before this step.
///
/// # Errors
/// When it asks for an error.
pub fn point(number: usize, step: &str) -> Result<()> {
    let fault = match std::env::var(VARIABLE) {
        Ok(fault) if cfg!(debug_assertions) => fault,
        _ => return Ok(()),
    };
    let here = |at: &str| match at.parse::<usize>() {
        Ok(at) => number == at,
        Err(_) => step.contains(at),
    };
    match fault.split_once('@') {
        Some(("kill", at)) if here(at) => Ok(raise(Signal::SIGKILL)?),
        Some(("pause", at)) if here(at) => Ok(raise(Signal::SIGSTOP)?),
        Some(("int", at)) if here(at) => Ok(raise(Signal::SIGINT)?),
        Some(("term", at)) if here(at) => Ok(raise(Signal::SIGTERM)?),
        Some((_, at)) if here(at) => bail!("{VARIABLE} asks for a failure here"),
        _ => Ok(()),
    }
}
