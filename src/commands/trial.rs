//! `--try` and `confirm`: a change that is rolled back by a timer unless it is confirmed.

use crate::cli::Common;
use crate::failure::{Code, Failure};
use crate::host::{self, Ending, Host, Systemd};
use crate::plan::Plan;
use crate::render;
use crate::report::outln;
use crate::report::{self, Report};
use crate::settings::types::Duration;
use crate::state::Observed;
use crate::state::trial::Trial;
use anyhow::Context;
use serde_json::json;
use std::process::ExitCode;

/// The remedy of errors about a trial: the commands that end it.
const HELP: &str =
    "synapse-workers confirm (the change stays), or synapse-workers rollback (it goes now)";

/// Refuses another change during a trial: its administrator may have lost the connection, and waits for the rollback.
pub fn refuse() -> Result<(), Failure> {
    let Some(trial) = host::trial()? else {
        return Ok(());
    };
    let left = Systemd::connect()?.trial_left()?;
    Err(Failure::preflight(trial.description(left)).help(HELP))
}

/// The effect of a run on the trial.
#[derive(Clone, Copy, Debug)]
pub enum TrialAction {
    /// None.
    Apart,
    /// Start a trial of its change, for this time.
    Begins(Duration),
    /// Roll back the change on trial.
    Returns(Ending),
    /// Remove everything, including a trial.
    Drops,
}

impl From<Option<Duration>> for TrialAction {
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::Apart, Self::Begins)
    }
}

impl TrialAction {
    /// Refuses a trial without a generation to roll back to, or one whose rollback might fail.
    pub fn check(self, plan: &Plan, observed: &Observed) -> Result<(), Failure> {
        let Self::Begins(_) = self else {
            return Ok(());
        };
        if observed.before().is_none() {
            return Err(Failure::usage(
                "--try: there is no earlier state to return to; a first install cannot be tried",
            ));
        }
        if plan.asks_schema() {
            return Err(Failure::usage(
                "--try: another version of Synapse may change the database so that the one before does not start with it \
                 any more; returning from that cannot be promised",
            )
            .help("make that change without --try, after a backup of the database"));
        }
        if let Some(path) = plan.given_anew(observed) {
            return Err(Failure::usage(format!(
                "--try: a new value is given for a secret, and {path} does not keep the one before"
            ))
            .help("give it without --try, then try the other changes"));
        }
        Ok(())
    }

    /// Starts the trial before anything changes: from here on a timer rolls the host back, whatever happens to this
    /// run.
    pub fn enter(
        self,
        common: &Common,
        host: &Host,
        plan: &Plan,
        observed: &Observed,
    ) -> Result<Option<Trial>, Failure> {
        let time = match self {
            Self::Begins(time) => time,
            Self::Drops if host::trial()?.is_some() => {
                host.systemd.end_trial(Ending::ByHand)?;
                return Ok(None);
            }
            _ => return Ok(None),
        };
        let other = |(generation, back): &(u32, u32)| generation != back;
        let Some((generation, back)) = plan.generation.zip(observed.before()).filter(other) else {
            return Ok(None);
        };
        let settings = std::path::absolute(&common.settings).context("reading --settings")?;
        let trial = Trial {
            generation,
            back,
            seconds: time.seconds(),
            applied: false,
            settings: settings.to_string_lossy().into_owned(),
        };
        let files = render::trial::units(&trial, &host.facts.for_rendering().program)?;
        host.begin_trial(&trial, &files).map_err(|error| {
            dropped(host);
            let text = "the trial could not begin, and nothing was changed";
            Failure::failed(format!("{text}: {error:#}"))
        })?;
        Ok(Some(trial))
    }

    /// Completes the trial's part of a successful run.
    pub fn leave(self, host: &Host, trial: Option<Trial>, report: &Report) -> Result<(), Failure> {
        match (self, trial) {
            (Self::Begins(_), Some(trial)) => {
                let (back, seconds) = (trial.back, trial.seconds);
                host.systemd.time_trial(trial).map_err(|error| {
                    let text = "the change is made, but its time could not begin";
                    Failure::new(Code::Incomplete, format!("{text}: {error:#}")).help(HELP)
                })?;
                report.say(format!(
                    "On trial: the host returns to generation {back} in {seconds} s, or as long after a reboot, unless you \
                     run: synapse-workers confirm"
                ));
            }
            (Self::Begins(_), None) => {
                report.say("Nothing is on trial: the configuration is the one from before.");
            }
            (Self::Returns(ending), _) => host.systemd.end_trial(ending)?,
            (Self::Apart | Self::Drops, _) => {}
        }
        Ok(())
    }
}

/// Handles a failed run: if the host was rolled back, the trial ends; otherwise it continues, so that its timer
/// attempts another rollback.
pub fn missed(host: &Host, trial: Option<&Trial>, undone: bool) {
    match trial {
        Some(_) if undone => dropped(host),
        Some(trial) => report::complain(format!(
            "note: the host tries to return to generation {} by itself, within {} s from when this began",
            trial.back, trial.seconds
        )),
        None => {}
    }
}

/// Ends a trial that has no further effect. Its error is only printed, because the command already fails with another
/// one.
fn dropped(host: &Host) {
    if let Err(error) = host.systemd.end_trial(Ending::ByHand) {
        report::complain(format!(
            "note: its trial could not be ended: {error:#}\n  help: {HELP}"
        ));
    }
}

/// Runs `synapse-workers confirm`.
pub fn confirm(common: &Common) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let Some(_lock) = host::lock_if_root()? else {
        return Err(Failure::preflight("this needs root").help("sudo synapse-workers confirm"));
    };
    let Some(trial) = host::trial()? else {
        return Err(Failure::usage(
            "nothing is on trial; a trial begins with: synapse-workers install --try 5m",
        ));
    };
    if !trial.applied {
        return Err(Failure::preflight(format!(
            "generation {} was not made to its end, so it cannot stay",
            trial.generation
        ))
        .help("synapse-workers rollback"));
    }
    Systemd::connect()?.end_trial(Ending::ByHand)?;
    if common.json {
        outln!("{}", json!({"confirmed": trial.generation}));
    }
    report.say(format!("Generation {} stays.", trial.generation));
    Ok(ExitCode::SUCCESS)
}
