//! The rollback: a plan like any other, towards the generation that was there before, or towards nothing.

use super::apply::Work;
use super::verify::Expected;
use super::{Aim, SettingsChange};
use crate::host::{self, Host, interruption};
use crate::plan::state::{Observed, State};
use crate::plan::{Plan, Removal, Target};
use crate::report::Report;
use anyhow::{Context, Result};
use std::fmt;

/// Why a rollback is incomplete: each part is tried, whatever became of the others.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<anyhow::Error>);

impl Errors {
    /// Notes an error and goes on.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn end(self) -> Result<(), Self> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(|error| format!("{error:#}")).collect();
        write!(f, "{}", texts.join("\nand: "))
    }
}

/// Rolls back a run that was to lead from what was found to an aim.
///
/// # Errors
/// With every part that failed.
pub(super) fn undo(
    host: &Host,
    aim: &Aim,
    found: &Observed,
    work: Work,
    report: &Report,
) -> Result<(), Errors> {
    interruption::ignore();
    let mut errors = Errors::default();
    for file in &work.replaced {
        errors.note(file.put_back(work.switched));
    }
    if let Some(settings) = &aim.settings {
        errors.note(put_back(settings));
    }
    let moved = aim.moving.is_some();
    let way = way_back(host, found, &work);
    if let Some((before, target, observed, plan)) = errors.note(way) {
        let host = &host.without_given();
        let back = Aim {
            desired: &before,
            target,
            removal: Removal::Undo,
            moving: None,
            settings: None,
            settings_text: String::new(),
            summary: String::new(),
            expected: Expected::default(),
        };
        let mut backwards = Work::new(host, &back, &observed);
        backwards.made = work.made;
        backwards.hold = work.hold;
        backwards.apply_all(&plan, report, &mut errors);
        if moved {
            errors.note(host.leave_migration());
        }
        if errors.is_empty() {
            errors.note(host.applied(plan.generation));
            if aim.target == Target::Rendered && found.next < observed.next {
                errors.note(host.forget_generation(found.next));
            }
        }
    }
    errors.end()
}

/// The state from before, with the plan that leads to it.
fn way_back(host: &Host, found: &Observed, work: &Work) -> Result<(State, Target, Observed, Plan)> {
    let (before, target) = match found.before() {
        Some(number) => (Host::generation(number)?.0, Target::Generation(number)),
        None => (State::default(), Target::Nothing),
    };
    let mut observed = host.without_given().observe(&before)?;
    // What this run made goes again, whatever it is; what was made earlier stays.
    observed.resources.extend(work.made_now.iter().cloned());
    observed.made = work.made_now.clone();
    let plan = Plan::back(&before, &observed, target, work.switched);
    Ok((before, target, observed, plan))
}

fn put_back(settings: &SettingsChange) -> Result<()> {
    let SettingsChange { path, before, .. } = settings;
    match before {
        Some(text) if host::read(path)?.as_deref() == Some(text.as_bytes()) => Ok(()),
        Some(text) => host::rewrite(path, text.as_bytes()),
        None => host::remove(path),
    }
    .context("restoring the settings file")
}
