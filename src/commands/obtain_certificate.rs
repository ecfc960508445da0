//! `obtain-certificate`: obtains or renews the certificate of `tls.acme`. `synapse-acme.service` runs it.

use crate::failure::Failure;
use crate::host::acme;
use crate::report::outln;
use std::process::ExitCode;

/// Asks the authority if that is due, and makes its certificate the one that nginx gets.
pub fn obtain() -> Result<ExitCode, Failure> {
    let certificate = acme::obtain()?;
    outln!("certificate: {certificate}");
    Ok(ExitCode::SUCCESS)
}
