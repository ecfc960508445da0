//! The generation in use.

use crate::failure::Failure;
use crate::host::Host;
use crate::request::{self, Request};
use crate::state::{State, paths};

/// The number of the generation in use.
pub(super) fn current() -> Result<u32, Failure> {
    Host::current().ok_or_else(|| {
        Failure::preflight("nothing is installed on this host").help("synapse-workers install")
    })
}

/// The error of a generation whose directory has no settings file.
pub(super) fn no_settings(number: u32) -> Failure {
    Failure::failed(format!(
        "generation {number} is damaged: {}/{number}/settings.yaml is missing",
        paths::GENERATIONS
    ))
    .help("synapse-workers install")
}

/// The number of the generation in use, its state and its settings.
pub(super) fn installed() -> Result<(u32, State, Option<String>), Failure> {
    let current = current()?;
    let (state, text) = Host::generation(current)?;
    Ok((current, state, text))
}

/// The state of the generation in use, and the request that it was rendered from.
pub(super) fn running() -> Result<(State, Request), Failure> {
    let (number, state, text) = installed()?;
    let text = text.ok_or_else(|| no_settings(number))?;
    Ok((state, request::of_generation(number, &text)?))
}
