//! The generation in use.

use crate::failure::Failure;
use crate::host::Host;
use crate::state::State;

/// The number of the generation in use.
pub(super) fn current() -> Result<u32, Failure> {
    Host::current().ok_or_else(|| {
        Failure::preflight("nothing is installed on this host").help("synapse-workers install")
    })
}

/// The number of the generation in use, its state and its settings.
pub(super) fn installed() -> Result<(u32, State, Option<String>), Failure> {
    let current = current()?;
    let (state, text) = Host::generation(current)?;
    Ok((current, state, text))
}
