//! `generate`: manual pages and shell completions from the declarations of the command line, and the reference of
//! settings and the accounts of services from their tables.

mod documents;
mod inline;
mod manual;
mod markdown;

use crate::cli::{Cli, Generated};
use crate::failure::Failure;
use crate::host;
use crate::settings;
use crate::state::accounts;
use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// Writes the manual pages, the completions of every shell, the reference of settings, or the accounts.
///
/// # Errors
/// When a file cannot be written.
pub fn generate(what: Generated, directory: &Path) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    host::directory(directory, 0o755)?;
    match what {
        Generated::Man => {
            for (name, text) in manual::pages(&command)? {
                host::replace(directory.join(name), &text, 0o644)?;
            }
        }
        Generated::Completions => {
            for shell in Shell::value_variants() {
                clap_complete::generate_to(*shell, &mut command, "synapse-workers", directory)
                    .context("writing completions")?;
            }
        }
        Generated::Reference => write(directory, "settings.md", &settings::reference())?,
        Generated::Accounts => write(directory, "sysusers.conf", &accounts::sysusers())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(directory: &Path, name: &str, text: &str) -> Result<(), Failure> {
    Ok(host::replace(directory.join(name), text.as_bytes(), 0o644)?)
}
