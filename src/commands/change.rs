//! `install`, `plan`, `scale`, `add`, `remove`: converging the host to the settings.

use super::asked::{self, Asked};
use super::context::{self, Purpose};
use super::edits::Change;
use super::packages::{self, Installed};
use super::trial::{self, Course};
use crate::cli::{Common, Flags};
use crate::converge::{self, Aim, OnHost};
use crate::failure::{Code, Failure};
use crate::host::{self, Host};
use crate::paths;
use crate::plan::state::{Observed, State};
use crate::plan::step::Step;
use crate::plan::{Plan, Removal, Target, foreign};
use crate::report::{self, Report};
use crate::report::{out, outln};
use crate::settings::types::Duration;
use serde::Serialize;
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Everything up to the plan.
pub struct Prepared {
    asked: Asked,
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
    let asked = asked::ask(common, flags, change)?;
    let host = context::host(&asked, purpose)?;
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
    /// The state that the settings describe.
    pub fn aim(&self, summary: String) -> Aim<'_> {
        Aim {
            desired: &self.desired,
            target: Target::Rendered,
            removal: Removal::Keep,
            moving: self.asked.moving.clone(),
            settings: self.asked.change.clone(),
            settings_text: self.asked.text.clone(),
            summary,
            expected: self.asked.expected(&self.desired),
        }
    }
}

/// `synapse-workers install`, and what ends with it.
pub fn install(
    common: &Common,
    flags: &Flags,
    change: &Change,
    packages: bool,
    time: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let report = Report::new(common.json);
    // Bad settings are told before anything else, a lock that another run holds included.
    asked::ask(common, flags, change)?;
    let _lock = host::lock_if_root()?;
    trial::refuse()?;
    let course = Course::from(time);
    let Installed {
        prepared,
        confirmed,
    } = match packages {
        true => packages::install(common, flags, change, course, &report)?,
        false => Installed {
            prepared: prepare(common, flags, change, Purpose::Run)?,
            confirmed: None,
        },
    };
    for note in &prepared.asked.notes {
        report.say(format!("note: {note}"));
    }
    let aim = prepared.aim(change.summary());
    let plan = aim.plan(&prepared.observed);
    let common = &Common {
        yes: common.yes || confirmed.as_ref() == Some(&plan),
        ..common.clone()
    };
    let (host, observed) = (&prepared.host, &prepared.observed);
    let code = finish(common, host, &aim, &plan, observed, &report, course);
    let code = code.map_err(|failure| match confirmed {
        Some(_) => packages::after(failure),
        None => failure,
    })?;
    if let Some(file) = &aim.moving {
        report.say(format!(
            "Kept: {file}, as it was when the server stopped; nothing uses it any more"
        ));
    }
    Ok(code)
}

/// Shows and asks where there is somebody to ask, converges, and says how many changes it took.
pub fn finish(
    common: &Common,
    host: &Host,
    aim: &Aim,
    plan: &Plan,
    observed: &Observed,
    report: &Report,
    course: Course,
) -> Result<ExitCode, Failure> {
    course.check(plan, observed)?;
    let mut trial = None;
    if !plan.is_empty() {
        refuse(host, aim.desired, plan, observed)?;
        // The return from a trial was agreed to when that began, and a question might keep it waiting.
        if !matches!(course, Course::Returns(_)) {
            agree(common, plan)?;
        }
        host::interruption::watch();
        trial = course.enter(common, host, plan, observed)?;
        let ended = converge::converge(&mut OnHost::new(host), aim, plan, observed, report);
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
    let plan = prepared.aim("status".to_owned()).plan(&prepared.observed);
    Ok(plan.changes())
}

/// A step in the JSON of `plan`: what it is, with its fields, and as it is printed.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    step: &'a Step,
    changes: bool,
    line: String,
}

impl<'a> Line<'a> {
    fn of(step: &'a Step) -> Self {
        Self {
            step,
            changes: step.changes(),
            line: step.to_string(),
        }
    }
}

/// `synapse-workers plan`.
pub fn plan(common: &Common, flags: &Flags, detailed: bool) -> Result<ExitCode, Failure> {
    let prepared = prepare(common, flags, &Change::None, Purpose::Run)?;
    let plan = prepared.aim("plan".to_owned()).plan(&prepared.observed);
    refuse(&prepared.host, &prepared.desired, &plan, &prepared.observed)?;
    if common.json {
        let steps: Vec<Line> = plan.steps.iter().map(Line::of).collect();
        outln!("{}", json!({"changes": plan.changes(), "steps": steps}));
    } else {
        out!("{plan}");
        outln!("{} to change", plan.changes());
    }
    Ok(if detailed && !plan.is_empty() {
        Code::Pending.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// `scale`, `add`, `remove`: the settings file, then `install`.
pub fn edit(common: &Common, change: Change, time: Option<Duration>) -> Result<ExitCode, Failure> {
    install(common, &Flags::default(), &change, false, time)
}
