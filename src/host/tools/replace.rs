//! The replacement of this process by another program.

use anyhow::Context;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Executes a program in this process, with its environment, descriptors and process ID. Returns only if that fails.
pub fn become_program(program: &OsStr, arguments: &[OsString]) -> anyhow::Error {
    let error = Command::new(program).args(arguments).exec();
    let shown = program.to_string_lossy().into_owned();
    let failed: Result<(), _> = Err(error);
    failed
        .with_context(|| format!("{shown} cannot be executed"))
        .err()
        .unwrap_or_else(|| anyhow::anyhow!("{shown} was not executed"))
}
