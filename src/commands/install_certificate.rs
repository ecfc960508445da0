//! `hand-over`: installs a renewed certificate. `synapse-certificate.service` runs it.

use crate::failure::Failure;
use crate::host::certificate::Pair;
use crate::report::outln;
use std::process::ExitCode;

/// Installs a copy of the certificate and its key for each of these units.
pub fn install(pair: Pair, units: &[String]) -> Result<ExitCode, Failure> {
    match &pair.install(units)?[..] {
        [] => outln!("{} already has this certificate", units.join(", ")),
        new => outln!("installed the certificate for {}", new.join(", ")),
    }
    Ok(ExitCode::SUCCESS)
}
