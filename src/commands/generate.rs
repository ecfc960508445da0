//! `generate`: man pages and shell completions from the same declarations that parse the command line.

use crate::cli::{Cli, Generated};
use crate::failure::Failure;
use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// Writes one page for each command, or one file for each shell.
pub fn generate(what: Generated, directory: &Path) -> Result<ExitCode, Failure> {
    let mut command = Cli::command();
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    match what {
        Generated::Man => {
            clap_mangen::generate_to(command, directory).context("writing man pages")?;
        }
        Generated::Completions => {
            for shell in Shell::value_variants() {
                clap_complete::generate_to(*shell, &mut command, "synapse-workers", directory)
                    .context("writing completions")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
