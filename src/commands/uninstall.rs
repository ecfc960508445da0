//! `uninstall`: a plan to the empty state.

use super::apply::{Planned, finish};
use super::hosts;
use super::trial::TrialAction;
use crate::cli::Common;
use crate::converge::Goal;
use crate::converge::verify::Expected;
use crate::failure::Failure;
use crate::host::{self};
use crate::plan::SettingsChange;
use crate::plan::{Removal, Target};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::report::out;
use crate::request::{self, Request};
use crate::state::{Resource, State, paths};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Runs `synapse-workers uninstall [--purge]`.
pub fn uninstall(
    common: &Common,
    purge: bool,
    confirm: Option<String>,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let request = request::of_installed(common)?;
    if request.adopted.is_empty() && !request.settings.adopt.config.is_empty() {
        return Err(Failure::preflight(
            "the adopted files cannot be read, so it is unknown whether the old service may use its data again",
        )
        .help("synapse-workers plan (prints the file and the error)"));
    }
    if purge {
        confirm_purge(&request, host::created_database()?, confirm, &report)?;
    }
    let _lock = host::lock_if_root()?;
    let host = preflight::host(&request, Purpose::Inspect)?;
    let desired = State::default();
    let mut observed = host.observe(&desired)?;
    if request.moved() {
        // The old service would serve outdated data to its users, and send it to other servers.
        observed
            .created
            .retain(|resource| !resource.is_adopted_service());
    }
    let database = |resource: &Resource| matches!(resource, Resource::Database { .. });
    if purge && observed.created.iter().any(database) && host.facts.answering_postgres().is_none() {
        return Err(Failure::preflight(
            "the database cannot be removed, because PostgreSQL on this host does not answer",
        )
        .help("systemctl start postgresql"));
    }
    let goal = Goal {
        desired: &desired,
        target: Target::Nothing,
        removal: if purge { Removal::Purge } else { Removal::Keep },
        moving: None,
        settings: (purge && host::exists(&common.settings)).then(|| SettingsChange {
            path: common.settings.clone(),
            what: String::new(),
            before: None,
            after: None,
            copy: None,
        }),
        settings_text: String::new(),
        summary: "uninstall".to_owned(),
        expected: Expected::default(),
    };
    let plan = goal.plan(&observed);
    let retained: Vec<&Resource> = observed
        .resources
        .iter()
        .filter(|resource| !purge && resource.is_retained())
        .collect();
    let others = hosts::prepare_removal(&host, &request, goal.removal)?;
    let finished = finish(
        common,
        Planned {
            host: &host,
            goal: &goal,
            plan: &plan,
            observed: &observed,
            others,
        },
        &report,
        TrialAction::Discard,
    )?;
    finished.print(common, &report);
    if !request.adopted.is_empty() {
        report.say(match request.moved() {
            false => "The adopted server is restored, with its database, media, signing key and files.",
            true => "The adopted server's service was not started, because its data has moved from SQLite to PostgreSQL.",
        });
    }
    if !retained.is_empty() {
        report.say("Retained (`synapse-workers uninstall --purge` removes these too):");
        retained
            .iter()
            .for_each(|resource| report.say(format!("  {resource}")));
    }
    Ok(ExitCode::SUCCESS)
}

/// Demands the server's name as confirmation of a deletion that cannot be rolled back.
fn confirm_purge(
    request: &Request,
    database: bool,
    confirm: Option<String>,
    report: &Report,
) -> Result<(), Failure> {
    let server_name = request.settings.server_name.as_str();
    let deleted = match (request.adopted.is_empty(), database) {
        (true, _) => "database, media, signing key and settings",
        (false, false) => "settings and secrets (but nothing of the adopted server)",
        // After a move, the adopted SQLite file is outdated, and only PostgreSQL has the current data.
        (false, true) => {
            "the PostgreSQL database with all data since the move, settings and secrets"
        }
    };
    if let Some(repository) = &request.settings.backup.repository {
        let secret = paths::secret(paths::BACKUP_PASSWORD);
        report.complain(format!(
            "note: the backups in {} stay. Their password, {secret}, is deleted; without a copy of it, they cannot be read",
            repository.as_str()
        ));
    }
    let typed = match confirm {
        Some(name) => name,
        None if std::io::stdin().is_terminal() => {
            out!("This permanently deletes {deleted} of {server_name}.\nType the server's name: ");
            let _ = std::io::stdout().flush();
            let mut name = String::new();
            let _ = std::io::stdin().read_line(&mut name);
            name.trim().to_owned()
        }
        None => {
            return Err(Failure::usage(
                "--purge: without a terminal, the server's name must be given as confirmation",
            )
            .help(format!(
                "synapse-workers uninstall --purge --confirm {server_name}"
            )));
        }
    };
    if typed == server_name {
        Ok(())
    } else {
        Err(Failure::usage(format!(
            "`{typed}` is not the name of this server, {server_name}"
        ))
        .left("nothing was changed"))
    }
}
