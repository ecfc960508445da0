//! `rollback`: applies an earlier generation.

use super::apply::{Planned, finish};
use super::hosts::Others;
use super::install;
use super::installed::{current, no_settings};
use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::converge::Goal;
use crate::converge::verify::Expected;
use crate::failure::{Code, Failure};
use crate::host::{self, Ending, Host};
use crate::plan::SettingsChange;
use crate::plan::{Removal, Target};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::request::{self, Restored, SettingsEdit as Change};
use crate::settings::types::Duration;
use crate::state::paths;
use crate::state::trial::Trial;
use std::path::{Path, PathBuf};
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
    let running = request::of_current();
    if let Some(name) = running.as_ref().and_then(|running| running.host.as_ref()) {
        return Err(Failure::preflight(format!(
            "this host is {name}, and the first host of its server manages it"
        ))
        .help("run the same command on the first host"));
    }
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
            report.say("No change is on trial any more; nothing was changed.");
            return Ok(ExitCode::SUCCESS);
        }
        Some(trial) if unconfirmed => report.say(format!(
            "Generation {} was not confirmed within {} s. Rolling back to generation {}.",
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
        None => previous(current)?,
    };
    let (desired, text) =
        Host::generation(number).map_err(|error| Failure::from(error).ending(Code::Usage))?;
    let text = text.ok_or_else(|| no_settings(number))?;

    let action = match (&trial, unconfirmed) {
        (None, _) => time.into(),
        (Some(_), true) => TrialAction::Revert(Ending::ByTimer),
        (Some(_), false) => TrialAction::Revert(Ending::ByHand),
    };
    let request = request::of_generation(number, &text)?;
    if host::homeserver_d_differs(&desired)? {
        report.say(format!(
            "note: {} has changed since generation {number}; the next install uses its present contents",
            paths::HOMESERVER_D
        ));
    }
    if request.names_other_hosts() || running.is_some_and(|running| running.names_other_hosts()) {
        // Each host has generations of its own, so all of them are rendered again from these settings.
        let change = settings_change(common, current, trial.as_ref(), number, &text)?;
        let to = Restored {
            number,
            text,
            without: request.names_left_out(),
            change,
        };
        let change = Change::Restore(Box::new(to));
        let done = install::run(common, &Flags::default(), &change, false, action, &report);
        // The timer tries again after every error but this one: then the generation is gone.
        return done.map_err(|failure| match failure.code {
            Code::Usage if unconfirmed => failure.ending(Code::Preflight),
            _ => failure,
        });
    }
    if request.left_sqlite(&desired) {
        return Err(Failure::preflight(format!(
            "generation {number} uses {}: all data since the move to PostgreSQL would be lost",
            request.sqlite()
        ))
        .help("synapse-workers generations (lists the generations after the move)"));
    }
    let host = preflight::host(&request, Purpose::Run)?;
    let observed = host.observe(&desired)?;
    let settings = settings_change(common, current, trial.as_ref(), number, &text)?;
    let goal = Goal {
        target: Target::Generation(number),
        removal: Removal::Keep,
        moving: None,
        settings,
        settings_text: text,
        summary: format!("rollback {number}"),
        expected: Expected::of(&request.input(&host.facts.for_rendering()), &desired),
        desired: &desired,
    };
    let plan = goal.plan(&observed);
    let finished = finish(
        common,
        Planned {
            host: &host,
            goal: &goal,
            plan: &plan,
            observed: &observed,
            others: Others::new(),
        },
        &report,
        action,
    )?;
    finished.print(common, &report);
    Ok(ExitCode::SUCCESS)
}

/// The generation before the one in use.
fn previous(current: u32) -> Result<u32, Failure> {
    let mut generations = Host::generations().into_iter();
    let manifest = generations
        .find(|generation| generation.current)
        .map(|generation| generation.manifest)
        .transpose()?;
    manifest
        .and_then(|manifest| manifest.previous)
        .ok_or_else(|| {
            Failure::usage(format!(
                "there is no generation before generation {current}"
            ))
            .help("synapse-workers generations")
        })
}

/// The change of the settings file to the text of a generation. A file with a text that no generation would restore,
/// such as one with new comments, is saved beside it.
fn settings_change(
    common: &Common,
    current: u32,
    trial: Option<&Trial>,
    number: u32,
    text: &str,
) -> Result<Option<SettingsChange>, Failure> {
    let path = &common.settings;
    let before = host::read_text(path)?;
    if before.as_deref() == Some(text) {
        return Ok(None);
    }
    let generations = [Some(current), trial.map(|trial| trial.generation)];
    let restorable = |found: &str| {
        let texts = generations.into_iter().flatten();
        texts
            .filter_map(|number| Host::generation(number).ok()?.1)
            .any(|text| text == found)
    };
    let suffix = match trial {
        Some(_) => "unconfirmed",
        None => "before-rollback",
    };
    let copy = match &before {
        Some(found) if !restorable(found) => Some(free_copy(path, suffix, found)),
        _ => None,
    };
    let saved = copy
        .as_ref()
        .map(|copy| format!("; the edited file is saved as {}", copy.display()));
    Ok(Some(SettingsChange {
        path: path.clone(),
        what: format!(
            "the settings of generation {number}{}",
            saved.unwrap_or_default()
        ),
        before,
        after: Some(text.to_owned()),
        copy,
    }))
}

/// The first path `FILE.SUFFIX.1`, `FILE.SUFFIX.2` … without a file, or with this text: a repeated rollback reuses its
/// copy.
fn free_copy(path: &Path, suffix: &str, text: &str) -> PathBuf {
    let mut number = 1;
    loop {
        let copy = PathBuf::from(format!("{}.{suffix}.{number}", path.display()));
        // A file that cannot be read is another text.
        if host::read_text(&copy).is_ok_and(|found| found.is_none_or(|found| found == text)) {
            return copy;
        }
        number += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::free_copy;
    use std::fs;

    #[test]
    fn a_copy_replaces_no_other_text() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("settings.yaml");
        let copy = |number| directory.path().join(format!("settings.yaml.x.{number}"));
        assert_eq!(free_copy(&path, "x", "a"), copy(1));
        fs::write(copy(1), "a").unwrap();
        assert_eq!(free_copy(&path, "x", "a"), copy(1));
        assert_eq!(free_copy(&path, "x", "b"), copy(2));
    }
}
