//! `rollback`: applies an earlier generation.

use super::apply::finish;
use super::installed::current;
use super::trial::{self, TrialAction};
use crate::cli::Common;
use crate::converge::Goal;
use crate::converge::verify::Expected;
use crate::failure::{Code, Failure};
use crate::host::{self, Ending, Host};
use crate::plan::SettingsChange;
use crate::plan::{Removal, Target};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::request::{self};
use crate::settings::types::Duration;
use crate::state::paths;
use crate::state::trial::Trial;
use anyhow::Context;
use std::path::Path;
use std::process::ExitCode;

/// Runs `synapse-workers rollback [N]`, which also ends a trial. The timer of the trial runs it with `unconfirmed`: it
/// then waits for a run in progress, and does nothing if that run has ended the trial.
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
        // A trial can only be rolled back to one generation.
        Some(trial) if time.is_some() || number.is_some_and(|number| number != trial.back) => {
            trial::refuse()?;
        }
        _ => {}
    }
    let current = current()?;
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
    if host::homeserver_d_differs(&desired)? {
        report.say(format!(
            "note: {} is not as it was then; the next install takes what is there",
            paths::HOMESERVER_D
        ));
    }
    let goal = Goal {
        target: Target::Generation(number),
        removal: Removal::Keep,
        moving: None,
        settings,
        settings_text: text,
        summary: format!("rollback {number}"),
        expected: Expected::of(&asked.input(&host.facts.for_rendering()), &desired),
        desired: &desired,
    };
    let plan = goal.plan(&observed);
    let course = match (trial, unconfirmed) {
        (None, _) => time.into(),
        (Some(_), true) => TrialAction::Returns(Ending::ByTimer),
        (Some(_), false) => TrialAction::Returns(Ending::ByHand),
    };
    finish(common, &host, &goal, &plan, &observed, &report, course)
}

/// Keeps a copy of a settings file that was edited during the trial, because its rollback does not ask for
/// confirmation.
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
    // A repeated rollback reuses its copy.
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
