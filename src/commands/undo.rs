//! `rollback` and `uninstall`: plans towards an earlier state, and towards nothing.

use super::change::finish;
use super::trial::{self, Course};
use crate::cli::Common;
use crate::converge::Aim;
use crate::converge::verify::Expected;
use crate::failure::{Code, Failure};
use crate::host::{self, Ending, Host};
use crate::plan::SettingsChange;
use crate::plan::{Removal, Target};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::report::out;
use crate::request::{self, Request};
use crate::settings::types::Duration;
use crate::state::paths;
use crate::state::trial::Trial;
use crate::state::{Resource, State};
use anyhow::Context;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// `synapse-workers rollback [N]`. It ends a trial, whoever asks. `unconfirmed` is how the trial's timer asks: it waits for
/// a run that is in progress, and has nothing to do when that has ended the trial.
pub fn rollback(
    common: &Common,
    number: Option<u32>,
    time: Option<Duration>,
    unconfirmed: bool,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let _lock = match unconfirmed {
        true => {
            report.say("Waiting until no other run changes this host.");
            Some(host::lock_after_others()?)
        }
        false => host::lock_if_root()?,
    };
    let trial = host::trial()?;
    match &trial {
        None if unconfirmed => {
            report.say("Nothing is on trial any more; the host stays as it is.");
            return Ok(ExitCode::SUCCESS);
        }
        Some(trial) if unconfirmed => report.say(format!(
            "Generation {} was not confirmed within {} s: the host returns to generation {}.",
            trial.generation, trial.seconds, trial.back
        )),
        // A trial has one way back.
        Some(trial) if time.is_some() || number.is_some_and(|number| number != trial.back) => {
            trial::refuse()?;
        }
        _ => {}
    }
    let current = Host::current().ok_or_else(|| {
        Failure::preflight("nothing is installed here; run: synapse-workers install")
    })?;
    let number = match number.or(trial.as_ref().map(|trial| trial.back)) {
        Some(number) => number,
        None => Host::generations()
            .into_iter()
            .find(|generation| generation.current)
            .map(|generation| generation.manifest)
            .transpose()?
            .and_then(|manifest| manifest.previous)
            .ok_or_else(|| {
                Failure::usage(format!("there is no state before generation {current}"))
            })?,
    };
    let (desired, text) =
        Host::generation(number).map_err(|error| Failure::from(error).ending(Code::Usage))?;
    let text = text.with_context(|| format!("generation {number} has lost its settings"))?;

    let asked = request::of_generation(number, &text)?;
    if asked.left_sqlite(&desired) {
        return Err(Failure::preflight(format!(
            "generation {number} has its data in {}, and what was written since it moved to PostgreSQL would be lost",
            asked.sqlite()
        ))
        .help("synapse-workers generations shows later ones"));
    }
    let host = preflight::host(&asked, Purpose::Run)?;
    let observed = host.observe(&desired)?;
    let before = host::read_text(&common.settings)?;
    if let (Some(trial), Some(found)) = (&trial, &before) {
        keep_edited(trial, found, &text, &common.settings, &report)?;
    }
    let settings = (before.as_deref() != Some(text.as_str())).then(|| SettingsChange {
        path: common.settings.clone(),
        what: format!("as it was for generation {number}"),
        before,
        after: Some(text.clone()),
    });
    if host::own_options_differ(&desired)? {
        report.say(format!(
            "note: {} is not as it was then; the next install takes what is there",
            paths::HOMESERVER_D
        ));
    }
    let aim = Aim {
        target: Target::Generation(number),
        removal: Removal::Keep,
        moving: None,
        settings,
        settings_text: text,
        summary: format!("rollback {number}"),
        expected: Expected::of(&asked.input(&host.facts.for_rendering()), &desired),
        desired: &desired,
    };
    let plan = aim.plan(&observed);
    let course = match (trial, unconfirmed) {
        (None, _) => time.into(),
        (Some(_), true) => Course::Returns(Ending::ByTimer),
        (Some(_), false) => Course::Returns(Ending::ByHand),
    };
    finish(common, &host, &aim, &plan, &observed, &report, course)
}

/// A return asks nothing: what was written into the settings file for the time after the trial is kept.
fn keep_edited(
    trial: &Trial,
    found: &str,
    before: &str,
    settings: &Path,
    report: &Report,
) -> Result<(), Failure> {
    let tried = Host::generation(trial.generation).ok();
    let tried = tried.and_then(|(_, tried)| tried);
    if found == before || tried.as_deref() == Some(found) {
        return Ok(());
    }
    let mut copies = (1..).map(|number| format!("{}.unconfirmed.{number}", settings.display()));
    // A return that is tried again finds its copy.
    let free = |copy: &String| {
        host::read_text(copy).is_ok_and(|there| there.is_none_or(|there| there == found))
    };
    if let Some(copy) = copies.find(free) {
        host::replace(&copy, found.as_bytes(), 0o600)?;
        report.say(format!(
            "note: {} was edited during the trial; that is kept as {copy}",
            settings.display()
        ));
    }
    Ok(())
}

/// `synapse-workers uninstall [--purge]`.
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
        confirmed(&asked, host::made_database()?, confirm)?;
    }
    let _lock = host::lock_if_root()?;
    let host = preflight::host(&asked, Purpose::Look)?;
    let desired = State::default();
    let mut observed = host.observe(&desired)?;
    if asked.moved() {
        // The old service would serve its users an old state, and tell other servers about it.
        observed.made.retain(|made| !made.is_late());
    }
    let database = |made: &Resource| matches!(made, Resource::Database { .. });
    if purge && observed.made.iter().any(database) && host.facts.answering_postgres().is_none() {
        return Err(Failure::preflight(
            "the database is to be removed, and the host's PostgreSQL does not answer",
        )
        .help("systemctl start postgresql"));
    }
    let aim = Aim {
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
    let plan = aim.plan(&observed);
    let kept: Vec<&Resource> = observed
        .resources
        .iter()
        .filter(|resource| !purge && resource.kept())
        .collect();
    let code = finish(
        common,
        &host,
        &aim,
        &plan,
        &observed,
        &report,
        Course::Drops,
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

/// What cannot be brought back asks for the server's name.
fn confirmed(asked: &Request, database: bool, confirm: Option<String>) -> Result<(), Failure> {
    let server_name = asked.settings.server_name.as_str();
    let what = match (asked.adopted.is_empty(), database) {
        (true, _) => "database, media, signing key and settings",
        (false, false) => "settings and secrets, but nothing of the adopted server,",
        // After a move the adopted SQLite file is old, and this is all that there is.
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
