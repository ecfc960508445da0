//! `generate`: man pages and shell completions from the same declarations that parse the command line, and the page of
//! all settings from the table that reads them.

use crate::cli::{Cli, Generated};
use crate::failure::Failure;
use crate::settings;
use anyhow::Context;
use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;
use std::path::Path;
use std::process::ExitCode;

/// Writes one page for each command, one file for each shell, or one page of settings.
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
        Generated::Reference => {
            let page = directory.join("settings.md");
            std::fs::write(&page, settings::reference())
                .with_context(|| format!("writing {}", page.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
