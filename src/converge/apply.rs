//! Applying: one `match` over steps.

use super::undo::Errors;
use super::{Aim, fault};
use crate::host::{self, Hold, Host, JobsFailed, interruption};
use crate::paths;
use crate::plan::Plan;
use crate::plan::names;
use crate::plan::state::{HOST, Observed, Resource};
use crate::plan::step::{Move, Step, Verb};
use crate::report::Report;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fmt::Display;

/// A plan under way, with the record of what was made.
pub(super) struct Work<'a> {
    host: &'a Host,
    aim: &'a Aim<'a>,
    pub made: BTreeSet<Resource>,
    /// Made by this run.
    pub made_now: BTreeSet<Resource>,
    /// Secrets, and files composed with them, that took the place of others.
    pub replaced: Vec<host::Kept>,
    /// While it is there, requests wait at nginx's ports.
    pub hold: Option<Hold>,
    /// The processes of nginx that served before it was told to reload.
    leaving: BTreeSet<u32>,
    /// Whether anything was begun that processes or systemd see.
    pub switched: bool,
    /// A note of the last step.
    note: Option<String>,
}

impl<'a> Work<'a> {
    pub fn new(host: &'a Host, aim: &'a Aim<'a>, observed: &Observed) -> Self {
        Self {
            host,
            aim,
            made: observed.made.clone(),
            made_now: BTreeSet::new(),
            replaced: Vec::new(),
            hold: None,
            leaving: BTreeSet::new(),
            switched: false,
            note: None,
        }
    }

    /// Does the steps in order, until one fails or a signal asks this program to end.
    pub fn apply(&mut self, plan: &Plan, report: &Report) -> Result<()> {
        for (number, step) in plan.steps.iter().enumerate() {
            between(number, step)?;
            self.one(step, report)?;
        }
        between(plan.steps.len(), &"verify")
    }

    /// Does all steps of a rollback, whatever becomes of the others: one process that does not start is no reason to leave
    /// nginx stopped. After an error nothing is removed any more, since a process may still use it.
    pub fn apply_all(&mut self, plan: &Plan, report: &Report, errors: &mut Errors) {
        for step in &plan.steps {
            if errors.is_empty() || !step.removes() {
                errors.note(self.one(step, report));
            }
        }
    }

    fn one(&mut self, step: &Step, report: &Report) -> Result<()> {
        report.step(step, || self.step(step))?;
        if let Some(note) = self.note.take() {
            report.say(format!("          {note}"));
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        let host = self.host;
        self.switched |= step.is_seen();
        match step {
            Step::InstallPrograms { command, .. } => host::programs::install(command),
            Step::WriteSettings { .. } => self.write_settings(),
            Step::RemoveSettings { path } => host::remove(path),
            Step::Create(resource) => self.create(resource),
            Step::Remove(resource) => {
                host.remove(resource)?;
                self.made.remove(resource);
                host.record_made(&self.made)
            }
            Step::Directories => host.directories(self.aim.desired),
            Step::WriteGeneration { number, .. } => host.write_generation(
                *number,
                self.aim.desired,
                &self.aim.settings_text,
                &self.aim.summary,
            ),
            Step::Judge { number, judge } => {
                self.note = host.judge(*number, judge, self.aim.desired)?;
                Ok(())
            }
            Step::MoveDatabase { number, file, part } => {
                let note = host.migrate(*number, file, *part, self.aim.desired)?;
                self.note = Some(note).filter(|note| !note.is_empty());
                match part {
                    Move::Compare => host.forget_migration(),
                    Move::First | Move::Last => Ok(()),
                }
            }
            Step::Switch { number } => host.switch(*number, self.aim.desired),
            Step::WriteFile { path, .. } => {
                let file = self
                    .aim
                    .desired
                    .files
                    .get(&format!("{HOST}{path}"))
                    .with_context(|| format!("{path} was not rendered"))?;
                host::replace(path, &file.contents, 0o644)
            }
            Step::RemoveFile { path } => host::remove_with_drop_ins(path),
            Step::ReloadManager => host.systemd.reload(),
            Step::Enable(units) => host.systemd.enable(units),
            Step::Disable(units) => host.systemd.disable(units),
            Step::Jobs {
                verb,
                units,
                rolling,
                ..
            } => {
                let number = rolling.unwrap_or(units.len()).max(1);
                let mut turns = units.chunks(number);
                turns.try_for_each(|units| self.jobs(*verb, units))
            }
            Step::Hold => self.hold(),
            Step::LetGo(_) => host.let_go(&self.leaving),
            Step::ResetFailed(units) => {
                host.systemd.reset_failed(units);
                Ok(())
            }
            Step::RemoveSockets(names) => names.iter().try_for_each(|name| {
                for socket in [paths::public_socket(name), paths::replication_socket(name)] {
                    host::remove(&socket)?;
                    host::remove(format!("{socket}.lock"))?;
                }
                Ok(())
            }),
            Step::Forget => host.forget(),
        }
    }

    /// Noted first: half of it may be there when making it fails.
    fn create(&mut self, resource: &Resource) -> Result<()> {
        self.made.retain(|before| !resource.replaces(before));
        self.made.insert(resource.clone());
        let before = resource.secret_path().map(host::keep).transpose()?;
        match before.flatten() {
            Some(before) => self.replaced.push(before),
            None => drop(self.made_now.insert(resource.clone())),
        }
        self.host.record_made(&self.made)?;
        self.host.create(resource, self.aim.desired)?;
        // The directory of the record may have been made just now.
        self.host.record_made(&self.made)
    }

    fn write_settings(&self) -> Result<()> {
        match &self.aim.settings {
            Some(change) => match &change.after {
                Some(text) => host::rewrite(&change.path, text.as_bytes()),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }

    fn hold(&mut self) -> Result<()> {
        if self.hold.is_none() {
            self.hold = Some(self.host.hold()?);
        }
        Ok(())
    }

    /// A job that failed is reported with the end of its unit's journal: that is where the cause stands.
    fn jobs(&mut self, verb: Verb, units: &[String]) -> Result<()> {
        if verb != Verb::Stop && units.iter().any(|unit| unit == names::NGINX) {
            self.hold = None;
        }
        if verb == Verb::Reload && units.iter().any(|unit| unit == names::NGINX) {
            self.leaving = self.host.serving()?;
        }
        self.host.systemd.jobs(verb, units).map_err(|error| {
            let failed = error.downcast_ref::<JobsFailed>();
            let failed = failed.map_or(&[][..], |jobs| &jobs.units);
            let journals = failed.iter().take(3);
            let journals: String = journals
                .filter_map(|(unit, _)| host::journal(unit, 8))
                .collect();
            error.context(format!(
                "systemd could not {} every unit\n{journals}  more: journalctl -e -u 'synapse-*'",
                verb.word()
            ))
        })
    }
}

/// Before a step: fails when a signal asks this program to end, or when a test asks for a failure here.
fn between(number: usize, step: &dyn Display) -> Result<()> {
    fault::point(number, &step.to_string())?;
    match interruption::came() {
        Some(signal) => bail!("{} by {signal}", interruption::ERROR),
        None => Ok(()),
    }
}
