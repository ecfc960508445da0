//! The commands, one file for each. Those that change the host share `prepared`, `confirmation` and `apply`.

mod advise;
mod agent;
mod alerts;
mod apply;
mod backup;
mod closing;
mod confirmation;
mod doctor;
mod generate;
mod generations;
mod hosts;
mod install;
mod install_certificate;
mod installed;
mod observed;
mod obtain_certificate;
mod packages;
mod plan;
mod prepared;
mod presets;
mod questions;
mod reach;
mod render;
mod restore;
mod rollback;
mod routes;
mod status;
mod time;
mod top;
mod trial;
mod uninstall;
mod upgrade;
mod user;
mod verify;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::host::certificate::Pair;
use crate::request::SettingsEdit as Change;
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// With the failure that decides the exit status.
pub fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let common = &cli.common;
    let pure = matches!(
        cli.command,
        Command::Install { .. }
            | Command::Plan { .. }
            | Command::Render { .. }
            | Command::Routes { .. }
            | Command::Presets
            | Command::Generate { .. }
    );
    if common.root.is_some() && !pure {
        return Err(Failure::usage(
            "--root: this command needs a running host; use --root with render, install, plan or routes",
        ));
    }
    match cli.command {
        Command::Install {
            flags,
            packages,
            leaving,
            trying,
        } if common.root.is_none() => {
            let flags = leaving.with(flags);
            install::install(common, &flags, &Change::None, packages, trying.time.into())
        }
        Command::Install { trying, .. } if trying.time.is_some() => Err(Failure::usage(
            "--try: cannot be used with --root, because no process runs below another root",
        )),
        Command::Install { flags, leaving, .. } => render::install(common, &leaving.with(flags)),
        Command::Render { flags, host } => render::render(common, &flags, host.as_deref()),
        Command::Plan {
            flags,
            leaving,
            detailed_exitcode,
        } => {
            let flags = leaving.with(flags);
            match common.root {
                Some(_) => render::preview(common, &flags, detailed_exitcode),
                None => plan::plan(common, &flags, detailed_exitcode),
            }
        }
        Command::Scale { counts, trying } => {
            install::edit(common, Change::Scale(counts), trying.time)
        }
        Command::Add { specs, trying } => install::edit(common, Change::Add(specs), trying.time),
        Command::Remove { names, trying } => {
            install::edit(common, Change::Remove(names), trying.time)
        }
        Command::Move { entry, host } => install::edit(common, Change::Move(entry, host), None),
        Command::Upgrade { check: true, .. } => upgrade::check(common),
        Command::Upgrade {
            version,
            backup,
            trying,
            ..
        } => upgrade::upgrade(common, version, backup, trying.time),
        Command::MigrateDatabase => install::edit(common, Change::MigrateDatabase, None),
        Command::Confirm => trial::confirm(common),
        Command::Status { watch: false } => status::status(common),
        Command::Status { watch: true } => status::watch(common),
        Command::Advise { time } => advise::advise(common, time),
        Command::Top => top::top(common),
        Command::Routes {
            flags,
            leaving,
            method,
            path,
        } => routes::routes(common, &leaving.with(flags), method.zip(path)),
        Command::Verify => verify::verify(common),
        Command::Reach => reach::reach(common),
        Command::Doctor { flags } => doctor::doctor(common, &flags),
        Command::Generations => generations::generations(common),
        Command::Rollback {
            number,
            trying,
            unconfirmed,
        } => rollback::rollback(common, number, trying.time, unconfirmed),
        Command::Uninstall { purge, confirm } => uninstall::uninstall(common, purge, confirm),
        Command::User { action } => user::user(common, &action),
        Command::Alerts { action } => alerts::alerts(common, action),
        Command::Backup { action, restore } => backup::backup(common, action, restore),
        Command::Restore {
            id,
            from,
            password_file,
            environment_file,
            server,
        } => restore::restore(
            common,
            &restore::From {
                id,
                repository: from,
                password_file,
                environment_file,
                server,
            },
        ),
        Command::Presets => presets::presets(common),
        Command::HandOver {
            certificate,
            key,
            units,
        } => install_certificate::install(Pair { certificate, key }, &units),
        Command::ObtainCertificate => obtain_certificate::obtain(),
        Command::Agent => agent::agent(),
        Command::Generate { what, directory } => generate::generate(what, &directory),
    }
}
