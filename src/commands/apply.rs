//! Applying: from the request to a plan, its confirmation, and the run.

use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::converge::verify::Expected;
use crate::converge::{self, Goal, OnHost};
use crate::failure::{Code, Failure};
use crate::host::{self, Host};
use crate::plan::{Plan, Removal, Target, foreign};
use crate::preflight::{self, Purpose};
use crate::report::{self, Report};
use crate::report::{out, outln};
use crate::request::SettingsEdit as Change;
use crate::request::{self, Request};
use crate::state::paths;
use crate::state::{Observed, State};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Everything up to the plan.
pub struct Prepared {
    pub asked: Request,
    pub host: Host,
    pub desired: State,
    pub observed: Observed,
}

/// Looks at the host and renders what is desired of it.
///
/// # Errors
/// When a check refuses the host, or something in the way was not made by this program.
pub fn prepare(
    common: &Common,
    flags: &Flags,
    change: &Change,
    purpose: Purpose,
) -> Result<Prepared, Failure> {
    let asked = request::load(common, flags, change)?;
    let host = preflight::host(&asked, purpose)?;
    let desired = asked.desired(&host.facts.for_rendering())?;
    let observed = host.observe(&desired)?;
    for note in &observed.notes {
        report::complain(format!("note: {note}"));
    }
    let foreign = foreign(&desired, &observed);
    if !foreign.is_empty() {
        return Err(Failure::preflight(format!(
            "not made by synapse-workers, and in the way: {}",
            foreign.join(", ")
        ))
        .help("move them to another place"));
    }
    Ok(Prepared {
        asked,
        host,
        desired,
        observed,
    })
}

impl Prepared {
    fn expected(&self) -> Expected {
        let facts = self.host.facts.for_rendering();
        Expected::of(&self.asked.input(&facts), &self.desired)
    }

    /// The state that the settings describe.
    pub fn goal(&self, summary: String) -> Goal<'_> {
        Goal {
            desired: &self.desired,
            target: Target::Rendered,
            removal: Removal::Keep,
            moving: self.asked.moving.clone(),
            settings: self.asked.change.clone(),
            settings_text: self.asked.text.clone(),
            summary,
            expected: self.expected(),
        }
    }
}

/// Shows and asks where there is somebody to ask, converges, and says how many changes it took.
pub fn finish(
    common: &Common,
    host: &Host,
    goal: &Goal,
    plan: &Plan,
    observed: &Observed,
    report: &Report,
    course: TrialAction,
) -> Result<ExitCode, Failure> {
    course.check(plan, observed)?;
    let mut trial = None;
    if !plan.is_empty() {
        refuse(host, goal.desired, plan, observed)?;
        // The return from a trial was agreed to when that began, and a question might keep it waiting.
        if !matches!(course, TrialAction::Returns(_)) {
            agree(common, plan)?;
        }
        host::interruption::watch();
        trial = course.enter(common, host, plan, observed)?;
        let ended = converge::converge(&mut OnHost::new(host), goal, plan, observed, report);
        if let Err(missed) = ended {
            trial::missed(host, trial.as_ref(), missed.undone);
            return Err(missed.failure);
        }
    }
    let told = json!({"changed": plan.changes(), "trial": trial});
    course.leave(host, trial, report)?;
    if common.json {
        outln!("{told}");
    }
    report.say(format!("{} changed ({})", plan.changes(), report.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// Refuses to go on without the signing key, and another Synapse whose database it would not start with. Where its code is not there yet, or nothing was
/// installed before, that is found out on the way: by the same judge, before anything stops.
pub fn refuse(
    host: &Host,
    desired: &State,
    plan: &Plan,
    observed: &Observed,
) -> Result<(), Failure> {
    if host.has_lost_key(desired, observed) {
        return Err(Failure::preflight(format!(
            "the signing key of this server is gone: {}; with another one, other servers would not know it any more",
            paths::SIGNING_KEY
        ))
        .help(
            "restore the file from a backup (root:synapse, mode 0640); only if there is none, make a new key by Synapse's \
             generator: python -m synapse._scripts.generate_signing_key",
        ));
    }
    let known = host.facts.synapse.is_some() && observed.current.is_some();
    if known && plan.asks_schema() {
        let in_use = observed
            .current
            .and_then(|number| Host::generation(number).ok());
        let sandbox = in_use.as_ref().map_or(desired, |(state, _)| state);
        let judged = host.accepts_schema(desired, sandbox);
        judged.map_err(|error| Failure::from(error).ending(Code::Preflight))?;
    }
    Ok(())
}

/// Asks at a terminal, unless `--yes` was given; without one, calling the command is the agreement.
pub fn agree(common: &Common, plan: &Plan) -> Result<(), Failure> {
    if common.yes || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Ok(());
    }
    out!("{plan}\nApply this plan? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        Ok(())
    } else {
        Err(Failure::failed("aborted").left("nothing was changed"))
    }
}

/// How many changes an `install` would make now.
///
/// # Errors
/// With what would be refused.
pub fn pending(common: &Common) -> Result<usize, Failure> {
    let prepared = prepare(common, &Flags::default(), &Change::None, Purpose::Look)?;
    let plan = prepared.goal("status".to_owned()).plan(&prepared.observed);
    Ok(plan.changes())
}
