//! `--try` and `confirm`: a change that goes again by itself unless somebody confirms it.

use crate::cli::Common;
use crate::failure::{Code, Failure};
use crate::host::{self, Ending, Host, Lock, Systemd};
use crate::plan::Plan;
use crate::plan::state::Observed;
use crate::plan::trial::Trial;
use crate::report::Report;
use crate::settings::types::Duration;
use anyhow::{Context, anyhow};
use serde_json::json;
use std::process::ExitCode;

/// What ends a trial.
const CURE: &str =
    "cure: synapse-workers confirm (it stays), or synapse-workers rollback (it goes now)";

/// Refuses another change while one is on trial: whoever made that one may be cut off, and waits for the host to return.
pub fn refuse() -> Result<(), Failure> {
    let Some(trial) = host::trial()? else {
        return Ok(());
    };
    let left = Systemd::connect()?.trial_left()?;
    Err(Failure::preflight(format!(
        "{}\n  {CURE}",
        trial.told(left)
    )))
}

/// The generation that processes ran with before the change.
fn before(observed: &Observed) -> Option<u32> {
    observed.applied.or(observed.current)
}

/// Refuses a trial that has nothing to return to, or that might find the way back closed.
pub fn check(time: Option<Duration>, plan: &Plan, observed: &Observed) -> Result<(), Failure> {
    if time.is_none() {
        return Ok(());
    }
    if before(observed).is_none() {
        return Err(Failure::usage(
            "--try: there is no earlier state to return to; a first install cannot be tried",
        ));
    }
    if plan.asks_schema() {
        return Err(Failure::usage(
            "--try: another version of Synapse may change the database so that the one before does not start with it any \
             more; returning from that cannot be promised\n  cure: make that change without --try, after a backup of the \
             database",
        ));
    }
    Ok(())
}

/// Puts the change that was just made on trial, where it led to another generation.
pub fn begin(
    common: &Common,
    host: &Host,
    plan: &Plan,
    observed: &Observed,
    time: Duration,
    report: &Report,
) -> Result<Option<Trial>, Failure> {
    let other = |(generation, back): &(u32, u32)| generation != back;
    let Some((generation, back)) = plan.generation.zip(before(observed)).filter(other) else {
        report.say("Nothing is on trial: the configuration is the one from before.");
        return Ok(None);
    };
    let settings = std::path::absolute(&common.settings).context("reading --settings")?;
    let trial = Trial {
        generation,
        back,
        seconds: time.seconds(),
        settings: settings.to_string_lossy().into_owned(),
    };
    host.begin_trial(&trial).map_err(|error| {
        let text = "the change is made, but its trial could not begin";
        Failure::new(Code::Failed, anyhow!("{text}: {error:#}\n  {CURE}"))
    })?;
    report.say(format!(
        "On trial: the host returns to generation {back} in {} s, or as long after a reboot, unless you run: \
         synapse-workers confirm",
        trial.seconds
    ));
    Ok(Some(trial))
}

/// `synapse-workers confirm`.
pub fn confirm(common: &Common) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    let Some(_lock) = Lock::take_if_root()? else {
        return Err(Failure::preflight(
            "this needs root\n  cure: sudo synapse-workers confirm",
        ));
    };
    let Some(trial) = host::trial()? else {
        return Err(Failure::usage(
            "nothing is on trial; a trial begins with: synapse-workers install --try 5m",
        ));
    };
    Systemd::connect()?.end_trial(Ending::ByHand)?;
    if common.json {
        println!("{}", json!({"confirmed": trial.generation}));
    }
    report.say(format!("Generation {} stays.", trial.generation));
    Ok(ExitCode::SUCCESS)
}
