//! `hand-over`: what `synapse-certificate.service` runs when the certificate changed.

use crate::failure::Failure;
use crate::host::certificate::Pair;
use crate::report::outln;
use std::process::ExitCode;

/// Gives these units a copy of the certificate and its key.
pub fn install(pair: Pair, units: &[String]) -> Result<ExitCode, Failure> {
    match &pair.hand_over(units)?[..] {
        [] => outln!("the certificate is with {} already", units.join(", ")),
        new => outln!("gave the certificate to {}", new.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
