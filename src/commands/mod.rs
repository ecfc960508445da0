//! One file for each command, or for a few that are alike.

mod change;
mod generate;
mod hand_over;
mod inspect;
mod look;
mod packages;
mod render;
mod status;
mod trial;
mod undo;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::host::certificate::Pair;
use crate::request::SettingsEdit as Change;
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
        Command::Install {
            flags,
            packages,
            trying,
        } if common.root.is_none() => {
            change::install(common, &flags, &Change::None, packages, trying.time)
        }
        Command::Install { trying, .. } if trying.time.is_some() => Err(Failure::usage(
            "--try: below another root nothing runs, so there is nothing to be tried",
        )),
        Command::Install { flags, .. } | Command::Render { flags } => {
            render::render(common, &flags)
        }
        Command::Plan {
            flags,
            detailed_exitcode,
        } => change::plan(common, &flags, detailed_exitcode),
        Command::Scale { counts, trying } => {
            change::edit(common, Change::Scale(counts), trying.time)
        }
        Command::Add { specs, trying } => change::edit(common, Change::Add(specs), trying.time),
        Command::Remove { names, trying } => {
            change::edit(common, Change::Remove(names), trying.time)
        }
        Command::MigrateDatabase => change::edit(common, Change::MigrateDatabase, None),
        Command::Confirm => trial::confirm(common),
        Command::Status => status::status(common),
        Command::Routes {
            flags,
            method,
            path,
        } => look::routes(common, &flags, method.zip(path)),
        Command::Verify => inspect::verify(common),
        Command::Doctor { flags } => inspect::doctor(common, &flags),
        Command::Generations => look::generations(common),
        Command::Rollback {
            number,
            trying,
            unconfirmed,
        } => undo::rollback(common, number, trying.time, unconfirmed),
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
