//! Executes steps on this host: one `match` over all of them.

use super::count::Count;
use super::verify::{self, Expected};
use super::world::World;
use super::{Goal, SettingsChange, fault};
use crate::host::{self, Hold, Host, JobsFailed, acme, interruption};
use crate::plan::step::{Move, Step, Verb};
use crate::state::paths;
use crate::state::units;
use crate::state::{HOST, Observed, Resource, State};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};

/// This host during a run.
pub struct OnHost {
    host: Host,
    /// While this exists, new connections wait at nginx's sockets.
    hold: Option<Hold>,
    /// The processes of nginx that served requests before its reload.
    leaving: BTreeSet<u32>,
}

impl OnHost {
    /// Nothing is held and no process of nginx is leaving when a run begins.
    pub fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            hold: None,
            leaving: BTreeSet::new(),
        }
    }

    /// Runs jobs in systemd. A job that fails is reported with the last lines of its unit's journal, which contain the
    /// cause.
    fn jobs(&mut self, verb: Verb, units: &[String], count: &mut Count) -> Result<()> {
        let of_nginx = units.iter().any(|unit| unit == units::NGINX);
        if verb != Verb::Stop && of_nginx {
            self.hold = None;
        }
        let reloads = verb == Verb::Reload && of_nginx;
        if reloads {
            self.leaving = self.host.serving()?;
        }
        let ended = &mut |unit: &str| count.add(unit);
        let jobs = self.host.systemd.jobs_counted(verb, units, ended);
        jobs.map_err(|error| {
            let failed = error.downcast_ref::<JobsFailed>();
            let causes = failed.map_or_else(Vec::new, |jobs| jobs.causes(&self.host.systemd));
            let journals = causes.iter().take(3);
            let journals: String = journals.filter_map(|unit| host::journal(unit, 8)).collect();
            error.context(format!(
                "systemd could not {} every unit\n{journals}  see: journalctl -e -u 'synapse-*'",
                verb.word()
            ))
        })?;
        if reloads {
            Host::await_reload(&self.leaving);
        }
        Ok(())
    }

    /// Asks the authority for the certificate. The note contains the result.
    fn obtain_certificate(&mut self) -> Result<String> {
        let start = |unit: &str| self.host.systemd.jobs(Verb::Start, &[unit.to_owned()]);
        // The service records why it failed.
        let failed = start(units::ACME_SERVICE).err();
        let certificate = acme::certificate()?.unwrap_or_default();
        if certificate.is_issued() {
            start(units::CERTIFICATE_SERVICE)?;
            // The service does not wait for nginx, which may be waiting for it.
            let nginx = [units::NGINX.to_owned()];
            self.jobs(Verb::Reload, &nginx, &mut Count::new(Verb::Reload, &nginx))?;
        }
        let end = match failed {
            None => String::new(),
            Some(_) if certificate.failed.is_some() => {
                format!("\n          help: {}", certificate.remedy())
            }
            Some(error) => format!(
                "; {error:#}\n          see: journalctl -u {}",
                units::ACME_SERVICE
            ),
        };
        Ok(format!("certificate: {certificate}{end}"))
    }

    fn hold(&mut self) -> Result<()> {
        if self.hold.is_none() {
            self.hold = Some(self.host.hold()?);
        }
        Ok(())
    }
}

impl World for OnHost {
    type Backup = host::Backup;

    fn observe(&self, desired: &State) -> Result<Observed> {
        self.host.observe(desired)
    }

    fn generation(&self, number: u32) -> Result<State> {
        Ok(Host::generation(number)?.0)
    }

    /// Fails after a signal, and at a fail point of a test.
    fn between(&mut self, number: usize, step: &str) -> Result<()> {
        fault::point(number, step)?;
        match interruption::received() {
            Some(signal) => bail!("{} by {signal}", interruption::ERROR),
            None => Ok(()),
        }
    }

    fn apply(&mut self, step: &Step, goal: &Goal) -> Result<Option<String>> {
        let host = &self.host;
        match step {
            Step::InstallPrograms { command, .. } => host::programs::install(command),
            Step::Validate { number, validator } => {
                return host.validate(*number, validator, goal.desired);
            }
            Step::MoveDatabase { number, file, part } => {
                let note = host.migrate(*number, file, *part, goal.desired)?;
                if *part == Move::Compare {
                    host.forget_migration()?;
                }
                return Ok(Some(note).filter(|note| !note.is_empty()));
            }
            Step::WriteSettings { .. } => write_settings(goal),
            Step::RemoveSettings { path } => host::remove(path),
            Step::Create(resource) | Step::Rebuild { resource, .. } => {
                host.create(resource, goal.desired)
            }
            Step::Remove(resource) => host.remove(resource),
            Step::Directories => host.directories(goal.desired),
            Step::WriteGeneration { number, .. } => {
                host.write_generation(*number, goal.desired, &goal.settings_text, &goal.summary)
            }
            Step::Switch { number } => host.switch(*number, goal.desired),
            Step::WriteFile { path, .. } => {
                let file = goal.desired.files.get(&format!("{HOST}{path}"));
                let file =
                    file.with_context(|| format!("the generation has no file for {path}"))?;
                host::replace(path, &file.contents, 0o644)
            }
            Step::RemoveFile { path } => {
                // systemd would remember a failed unit without a file.
                let unit = units::of_host_file(path).map(str::to_owned);
                host.systemd.reset_failed(unit.as_slice());
                host::remove_with_drop_ins(path)
            }
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
                let mut batches = units.chunks(number);
                let mut count = Count::new(*verb, units);
                batches.try_for_each(|units| self.jobs(*verb, units, &mut count))
            }
            Step::ObtainCertificate(_) => return self.obtain_certificate().map(Some),
            Step::Hold => self.hold(),
            Step::Drain(_) => host.drain(&self.leaving),
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
        .map(|()| None)
    }

    fn back_up(&self, resource: &Resource) -> Result<Option<host::Backup>> {
        let backup = resource.secret_path().map(host::back_up).transpose()?;
        Ok(backup.flatten())
    }

    fn restore(&mut self, backup: &host::Backup, seen: bool) -> Result<()> {
        backup.restore(seen)
    }

    fn record(&mut self, created: &BTreeSet<Resource>) -> Result<()> {
        self.host.record_created(created)
    }

    fn verify(&mut self, expected: &Expected) -> Result<()> {
        verify::verify(&self.host, expected)
    }

    fn applied(&mut self, generation: Option<u32>) -> Result<()> {
        self.host.applied(generation)
    }

    fn hand_over(&mut self, secrets: &BTreeMap<String, String>) {
        self.host.hand_over(secrets);
    }

    fn begin_rollback(&mut self) {
        interruption::ignore();
        self.host = self.host.without_provided_secrets();
        self.leaving.clear();
    }

    fn restore_settings(&mut self, settings: &SettingsChange) -> Result<()> {
        let SettingsChange { path, before, .. } = settings;
        match before {
            Some(text) if host::read(path)?.as_deref() == Some(text.as_bytes()) => Ok(()),
            Some(text) => host::rewrite(path, text.as_bytes()),
            None => host::remove(path),
        }
        .context("restoring the settings file")
    }

    fn discard_migration(&mut self) -> Result<()> {
        self.host.discard_migration()
    }

    fn forget_generation(&mut self, number: u32) -> Result<()> {
        self.host.forget_generation(number)
    }
}

fn write_settings(goal: &Goal) -> Result<()> {
    let Some(SettingsChange {
        path,
        before,
        after: Some(text),
        copy,
        ..
    }) = &goal.settings
    else {
        return Ok(());
    };
    if let (Some(before), Some(copy)) = (before, copy) {
        host::replace(copy, before.as_bytes(), 0o600)?;
    }
    host::rewrite(path, text.as_bytes())
}
