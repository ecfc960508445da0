//! `uninstall`: a plan to the empty state.

use super::apply::finish;
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
use crate::state::{Resource, State};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Runs `synapse-workers uninstall [--purge]`.
pub fn uninstall(
    common: &Common,
    purge: bool,
    confirm: Option<String>,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let asked = request::of_installed(common)?;
    if asked.adopted.is_empty() && !asked.settings.adopt.config.is_empty() {
        return Err(Failure::preflight(
            "the adopted files cannot be read, so it is not known whether the old service may serve its data again",
        )
        .help("synapse-workers plan names the file and what is wrong with it"));
    }
    if purge {
        confirmed(&asked, host::created_database()?, confirm)?;
    }
    let _lock = host::lock_if_root()?;
    let host = preflight::host(&asked, Purpose::Look)?;
    let desired = State::default();
    let mut observed = host.observe(&desired)?;
    if asked.moved() {
        // The old service would serve outdated data to its users, and send it to other servers.
        observed.created.retain(|created| !created.is_late());
    }
    let database = |made: &Resource| matches!(made, Resource::Database { .. });
    if purge && observed.created.iter().any(database) && host.facts.answering_postgres().is_none() {
        return Err(Failure::preflight(
            "the database is to be removed, and the host's PostgreSQL does not answer",
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
        }),
        settings_text: String::new(),
        summary: "uninstall".to_owned(),
        expected: Expected::default(),
    };
    let plan = goal.plan(&observed);
    let kept: Vec<&Resource> = observed
        .resources
        .iter()
        .filter(|resource| !purge && resource.is_retained())
        .collect();
    let code = finish(
        common,
        &host,
        &goal,
        &plan,
        &observed,
        &report,
        TrialAction::Drops,
    )?;
    if !asked.adopted.is_empty() {
        report.say(match asked.moved() {
            false => "The adopted server is as it was, its database, media, signing key and files included.",
            true => "The adopted server's service is not started: the data moved from its SQLite file to PostgreSQL since.",
        });
    }
    if !kept.is_empty() {
        report.say("Kept (uninstall --purge removes these too):");
        kept.iter()
            .for_each(|resource| report.say(format!("  {resource}")));
    }
    Ok(code)
}

/// Demands the server's name as confirmation of a deletion that cannot be rolled back.
fn confirmed(asked: &Request, database: bool, confirm: Option<String>) -> Result<(), Failure> {
    let server_name = asked.settings.server_name.as_str();
    let what = match (asked.adopted.is_empty(), database) {
        (true, _) => "database, media, signing key and settings",
        (false, false) => "settings and secrets, but nothing of the adopted server,",
        // After a move, the adopted SQLite file is outdated, and only PostgreSQL has the current data.
        (false, true) => {
            "the PostgreSQL database with all that came since the move, settings and secrets"
        }
    };
    let typed = match confirm {
        Some(name) => name,
        None if std::io::stdin().is_terminal() => {
            out!("This permanently deletes {what} of {server_name}.\nType the server's name: ");
            let _ = std::io::stdout().flush();
            let mut name = String::new();
            let _ = std::io::stdin().read_line(&mut name);
            name.trim().to_owned()
        }
        None => {
            return Err(Failure::usage(format!(
                "--purge without a terminal needs --confirm {server_name}"
            )));
        }
    };
    if typed == server_name {
        Ok(())
    } else {
        Err(Failure::usage(format!(
            "`{typed}` is not the name of this server, {server_name}; nothing was changed"
        )))
    }
}
