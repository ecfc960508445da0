//! One file for each command, or for a few that are alike.

mod adopting;
mod asked;
mod change;
mod context;
mod data;
mod edits;
mod generate;
mod hand_over;
mod inspect;
mod look;
mod render;
mod undo;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::host::certificate::Pair;
use edits::Change;
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// With the code that the program ends with.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let common = &cli.common;
    let pure = matches!(
        cli.command,
        Command::Install { .. }
            | Command::Render { .. }
            | Command::Routes { .. }
            | Command::Presets
            | Command::Generate { .. }
    );
    if common.root.is_some() && !pure {
        return Err(Failure::usage(
            "--root: below another root nothing runs; it goes with render, install and routes",
        ));
    }
    match cli.command {
        Command::Install { flags, packages } if common.root.is_none() => {
            change::install(common, &flags, &Change::None, packages)
        }
        Command::Install { flags, .. } | Command::Render { flags } => {
            render::render(common, &flags)
        }
        Command::Plan {
            flags,
            detailed_exitcode,
        } => change::plan(common, &flags, detailed_exitcode),
        Command::Scale { counts } => change::edit(common, Change::Scale(counts)),
        Command::Add { specs } => change::edit(common, Change::Add(specs)),
        Command::Remove { names } => change::edit(common, Change::Remove(names)),
        Command::MigrateDatabase => change::edit(common, Change::MigrateDatabase),
        Command::Status => inspect::status(common),
        Command::Routes {
            flags,
            method,
            path,
        } => look::routes(common, &flags, method.zip(path)),
        Command::Verify => inspect::verify(common),
        Command::Doctor { flags } => inspect::doctor(common, &flags),
        Command::Generations => look::generations(common),
        Command::Rollback { number } => undo::rollback(common, number),
        Command::Uninstall { purge, confirm } => undo::uninstall(common, purge, confirm),
        Command::Presets => look::presets(common),
        Command::HandOver {
            certificate,
            key,
            units,
        } => hand_over::hand_over(Pair { certificate, key }, &units),
        Command::Generate { what, directory } => generate::generate(what, &directory),
    }
}
