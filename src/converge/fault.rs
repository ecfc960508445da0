//! Fail points for tests, in debug builds only: a run ends, fails or pauses between two steps.

use anyhow::{Result, bail};
use nix::sys::signal::{Signal, raise};

/// `SW_FAULT=kill@3` ends the run before its fourth step as SIGKILL does; `fail@3` makes that step fail; `int@3` and
/// `term@3` send SIGINT or SIGTERM to the process there; `pause@3` stops it until it receives SIGCONT. A part of the
/// step's line may replace the number.
const VARIABLE: &str = "SW_FAULT";

/// Triggers the fault that the variable names for this step.
///
/// # Errors
/// When the variable requests a failure.
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
        Some((_, at)) if here(at) => bail!("{VARIABLE} requests a failure here"),
        _ => Ok(()),
    }
}
