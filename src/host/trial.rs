//! A trial on the host: a record of it, and a timer that reverts the change.
//!
//! The timer and its service are unit files, enabled during the trial: a transient timer would be lost at a reboot, and
//! the change would never be reverted. systemd runs both, so that they survive a lost terminal and the end of this
//! program.

use super::systemd::{Systemd, about};
use super::{Host, files};
use crate::failure::Failure;
use crate::plan::step::Verb;
use crate::state::paths;
use crate::state::trial::Trial;
use crate::state::units;
use anyhow::{Context, Result};
use nix::time::ClockId;

/// How a trial ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An administrator confirms or reverts it.
    ByHand,
    /// The timer expires, and its service is the process that runs.
    ByTimer,
}

/// The trial that is recorded on this host.
pub fn trial() -> Result<Option<Trial>> {
    let Some(text) = files::read(paths::TRIAL)? else {
        return Ok(None);
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Failure::preflight(format!("{} is damaged: {error}", paths::TRIAL))
            .help(format!(
                "end the trial by hand: systemctl disable --now {}; rm {}; then synapse-workers install, or first \
                 synapse-workers rollback to return from its change",
                units::TRIAL_TIMER,
                paths::TRIAL
            ))
            .into()
    })
}

impl Host {
    /// Starts a trial before its change is applied. It is recorded first, since a trial must be ended even if its timer
    /// could not be started. `files` are its units, by name.
    pub fn begin_trial(&self, trial: &Trial, files: &[(&str, String)]) -> Result<()> {
        note(trial)?;
        for (name, text) in files {
            files::replace(unit_file(name), text.as_bytes(), 0o644)?;
        }
        let timer = [units::TRIAL_TIMER.to_owned()];
        self.systemd.enable(&timer)?;
        self.systemd.reload()?;
        self.systemd.jobs(Verb::Start, &timer)
    }
}

impl Systemd {
    /// Records that the change is applied, and restarts the timer of the trial. If the timer expired during the change,
    /// its service is waiting for the end of this run and is stopped.
    pub fn time_trial(&self, trial: Trial) -> Result<()> {
        note(&Trial {
            applied: true,
            ..trial
        })?;
        self.jobs(Verb::Restart, &[units::TRIAL_TIMER.to_owned()])?;
        self.stop_trial(units::TRIAL)
    }

    fn stop_trial(&self, unit: &str) -> Result<()> {
        if self.knows(unit)? {
            self.jobs(Verb::Stop, &[unit.to_owned()])?;
            self.reset_failed(&[unit.to_owned()]);
        }
        Ok(())
    }

    /// Ends the trial. Its units are removed first and its record last, so that an interrupted run is repeated.
    pub fn end_trial(&self, ending: Ending) -> Result<()> {
        // A service that waits for the lock, or for its next attempt, is no longer needed.
        let units = match ending {
            Ending::ByHand => &[units::TRIAL_TIMER, units::TRIAL][..],
            Ending::ByTimer => &[units::TRIAL_TIMER],
        };
        for unit in units {
            self.stop_trial(unit)?;
        }
        if files::exists(unit_file(units::TRIAL_TIMER)) {
            self.disable(&[units::TRIAL_TIMER.to_owned()])?;
        }
        for name in [units::TRIAL_TIMER, units::TRIAL] {
            files::remove(unit_file(name))?;
        }
        self.reload()?;
        files::remove(paths::TRIAL)
    }

    /// Seconds until the trial's timer expires; `None` if it has expired or is not running.
    pub fn trial_left(&self) -> Result<Option<u64>> {
        if !self.runs(units::TRIAL_TIMER)? {
            return Ok(None);
        }
        let next = about(units::TRIAL_TIMER, async {
            let timer = self.timer(units::TRIAL_TIMER).await?;
            timer.next_elapse().await
        })?;
        // The maximum value and 0 mean "never again".
        let next = Some(next).filter(|next| ![0, u64::MAX].contains(next));
        let now = ClockId::CLOCK_MONOTONIC
            .now()
            .context("reading the clock")?;
        let now = u64::try_from(now.tv_sec()).unwrap_or_default();
        Ok(next.map(|next| (next / 1_000_000).saturating_sub(now)))
    }
}

fn note(trial: &Trial) -> Result<()> {
    let text = serde_json::to_string_pretty(trial)?;
    files::replace(paths::TRIAL, format!("{text}\n").as_bytes(), 0o644)
}

fn unit_file(name: &str) -> String {
    format!("{}/{name}", paths::UNITS)
}
