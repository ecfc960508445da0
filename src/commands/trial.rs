//! `--try` and `confirm`: a change that is rolled back by a timer unless it is confirmed.

use super::hosts;
use crate::cli::Common;
use crate::converge::Remote;
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
    "synapse-workers confirm (keeps the change), or synapse-workers rollback (reverts it now)";

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
    None,
    /// Start a trial of the change, for this time.
    Start(Duration),
    /// The same for a release of Synapse after which the previous one can still use the database.
    StartReversible(Duration),
    /// Roll back the change on trial.
    Revert(Ending),
    /// Remove everything, including a trial.
    Discard,
}

impl From<Option<Duration>> for TrialAction {
    fn from(time: Option<Duration>) -> Self {
        time.map_or(Self::None, Self::Start)
    }
}

/// The error of a trial of another version of Synapse that may prevent the rollback.
pub fn irreversible() -> Failure {
    Failure::usage(
        "--try: this change starts another version of Synapse, which may upgrade the database so that the previous \
         version cannot use it",
    )
    .help("back up the database, then make the change without --try")
}

impl TrialAction {
    /// Refuses a trial without a generation to roll back to, or one whose rollback might fail, on this host or on others.
    pub fn check(self, plan: &Plan, observed: &Observed, others: &[Remote]) -> Result<(), Failure> {
        let reversible = match self {
            Self::Start(_) => false,
            Self::StartReversible(_) => true,
            _ => return Ok(()),
        };
        if observed.before().is_none() {
            return Err(Failure::usage(
                "--try: there is no earlier generation to roll back to, so a first install cannot be tried",
            ));
        }
        if plan.checks_schema() && !reversible {
            return Err(irreversible());
        }
        if let Some(path) = plan.replaced_secret(observed) {
            return Err(Failure::usage(format!(
                "--try: this change replaces a secret, and {path} does not keep the old value"
            ))
            .help("set the secret without --try, then try the other changes"));
        }
        hosts::refuse_unreachable_by_timer(others)
    }

    /// Starts the trial before anything changes: from here on a timer rolls the host back, whatever happens to this
    /// run.
    pub fn start(
        self,
        common: &Common,
        host: &Host,
        plan: &Plan,
        observed: &Observed,
    ) -> Result<Option<Trial>, Failure> {
        let time = match self {
            Self::Start(time) | Self::StartReversible(time) => time,
            Self::Discard if host::trial()?.is_some() => {
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
            end(host);
            let text = "the trial could not start; nothing was changed";
            Failure::failed(format!("{text}: {error:#}"))
        })?;
        Ok(Some(trial))
    }

    /// Completes the trial's part of a successful run.
    pub fn complete(
        self,
        host: &Host,
        trial: Option<Trial>,
        report: &Report,
    ) -> Result<(), Failure> {
        match (self, trial) {
            (Self::Start(_) | Self::StartReversible(_), Some(trial)) => {
                let (back, seconds) = (trial.back, trial.seconds);
                host.systemd.time_trial(trial).map_err(|error| {
                    let text = "the change is applied, but the timer of its trial could not start";
                    Failure::new(Code::Incomplete, format!("{text}: {error:#}")).help(HELP)
                })?;
                report.say(format!(
                    "On trial: the host rolls back to generation {back} in {seconds} s (after a reboot, the time starts again) \
                     unless you run: synapse-workers confirm"
                ));
            }
            (Self::Start(_) | Self::StartReversible(_), None) => {
                report.say("No trial started: the configuration did not change.");
            }
            (Self::Revert(ending), _) => host.systemd.end_trial(ending)?,
            (Self::None | Self::Discard, _) => {}
        }
        Ok(())
    }
}

/// Handles a failed run: if the host was rolled back, the trial ends; otherwise it continues, so that its timer
/// attempts another rollback.
pub fn after_failure(host: &Host, trial: Option<&Trial>, rolled_back: bool) {
    match trial {
        Some(_) if rolled_back => end(host),
        Some(trial) => report::complain(format!(
            "note: the trial's timer tries to roll back to generation {} within {} s after the start of this run",
            trial.back, trial.seconds
        )),
        None => {}
    }
}

/// Ends a trial that has no further effect. Its error is only printed, because the command already fails with another
/// one.
fn end(host: &Host) {
    if let Err(error) = host.systemd.end_trial(Ending::ByHand) {
        report::complain(format!(
            "note: the trial could not be ended: {error:#}\n  help: {HELP}"
        ));
    }
}

/// Runs `synapse-workers confirm`.
pub fn confirm(common: &Common) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let Some(_lock) = host::lock_if_root()? else {
        return Err(Failure::preflight("confirm needs root").help("sudo synapse-workers confirm"));
    };
    let Some(trial) = host::trial()? else {
        return Err(Failure::usage("no change is on trial")
            .help("to start a trial, run: synapse-workers install --try 5m"));
    };
    if !trial.applied {
        return Err(Failure::preflight(format!(
            "generation {} was only partly applied and cannot be confirmed",
            trial.generation
        ))
        .help("synapse-workers rollback"));
    }
    Systemd::connect()?.end_trial(Ending::ByHand)?;
    if common.json {
        outln!("{}", json!({"confirmed": trial.generation}));
    }
    report.say(format!("Generation {} is confirmed.", trial.generation));
    Ok(ExitCode::SUCCESS)
}
