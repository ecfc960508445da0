//! Converging: observe, plan, apply, verify, or return to where the host was.

mod apply;
mod fault;
pub mod verify;

use crate::failure::{Code, Failure};
use crate::host::Host;
use crate::plan::schema::Refused;
use crate::plan::state::{Observed, State};
use crate::plan::step::Step;
use crate::plan::{Plan, Removal, Target};
use crate::report::{self, Report};
use anyhow::{Context, Result, anyhow};
use apply::Work;
use std::path::PathBuf;
use verify::Expected;

/// Where a command wants to get.
pub struct Aim<'a> {
    pub desired: &'a State,
    pub target: Target,
    pub removal: Removal,
    /// The SQLite file whose data moves to PostgreSQL on the way.
    pub moving: Option<String>,
    /// The settings file, when the command changes it.
    pub settings: Option<SettingsChange>,
    /// The settings that the generation is made from.
    pub settings_text: String,
    /// What asked for it, in the words of the command line.
    pub summary: String,
    /// What must be true afterwards.
    pub expected: Expected,
}

/// A settings file before and after.
#[derive(Clone, Debug)]
pub struct SettingsChange {
    pub path: PathBuf,
    pub before: Option<String>,
    /// `None` removes it.
    pub after: Option<String>,
    /// The keys, or words for more than keys.
    pub what: String,
}

impl Aim<'_> {
    /// The plan, as it is printed and done.
    pub fn plan(&self, observed: &Observed) -> Plan {
        let mut plan = Plan::between(self.desired, observed, self.target, self.removal);
        if let Some(file) = &self.moving {
            plan = plan.moving(file, observed);
        }
        if let Some(change) = &self.settings {
            let path = change.path.display().to_string();
            let what = change.what.clone();
            match change.after {
                Some(_) => plan.steps.insert(0, Step::WriteSettings { path, what }),
                None => plan.steps.push(Step::RemoveSettings { path }),
            }
        }
        plan
    }
}

/// A run that did not reach its aim.
pub struct Missed {
    pub failure: Failure,
    /// Whether the host is as it was before; else the failure says what to run.
    pub undone: bool,
}

/// Brings the host to the aim by a plan that was made for it.
///
/// # Errors
/// When a step or the verification fails.
pub fn converge(
    host: &Host,
    aim: &Aim,
    plan: &Plan,
    observed: &Observed,
    report: &Report,
) -> Result<(), Missed> {
    let missed = |undone| move |failure| Missed { failure, undone };
    let mut work = Work::new(host, aim, observed);
    let done = work.apply(plan, report);
    let (code, error) = match done {
        Err(error) if error.is::<Refused>() => (Code::Preflight, error),
        Err(error) => (Code::Failed, error),
        Ok(()) if aim.expected.units.is_empty() => return Ok(()),
        Ok(()) => match report.step("  verify  units, health, routes", || {
            verify::verify(host, &aim.expected)
        }) {
            // Only what was verified is a state to return to.
            Ok(()) => {
                let noted = host.applied(plan.generation).map_err(Failure::from);
                return noted.map_err(missed(false));
            }
            Err(error) => (Code::RolledBack, error),
        },
    };
    report::complain(format!("error: {error:#}"));
    if aim.target == Target::Nothing {
        let again = anyhow!("not everything is removed; cure what is named above and run it again");
        return Err(missed(false)(Failure::new(Code::Failed, again)));
    }
    report.say("Returning to the state before.");
    match undo(host, aim, observed, work, report) {
        Ok(()) => Err(missed(true)(Failure::new(
            code,
            anyhow!("the host is as it was before"),
        ))),
        Err(second) => Err(missed(false)(Failure::new(
            Code::Failed,
            anyhow!(
                "returning to the state before failed as well: {second:#}\n\
                 Cure what is named above, then run: synapse-workers install"
            ),
        ))),
    }
}

/// The way back: a plan like any other, towards the generation that was there before, or towards nothing.
fn undo(host: &Host, aim: &Aim, found: &Observed, work: Work, report: &Report) -> Result<()> {
    let (before, target) = match found.before() {
        Some(number) => (Host::generation(number)?.0, Target::Generation(number)),
        None => (State::default(), Target::Nothing),
    };
    for file in &work.replaced {
        file.put_back(work.switched)?;
    }
    let host = &host.without_given();
    let mut observed = host.observe(&before)?;
    // What this run made goes again, whatever it is; what was made earlier stays.
    observed.resources.extend(work.made_now.iter().cloned());
    observed.made = work.made_now.clone();
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
    let plan = Plan::back(&before, &observed, target, work.switched);
    let mut backwards = Work::new(host, &back, &observed);
    backwards.made = work.made;
    backwards.hold = work.hold;
    backwards.apply(&plan, report)?;
    host.leave_migration()?;
    host.applied(plan.generation)?;
    if aim.target == Target::Rendered && found.next < observed.next {
        host.forget_generation(found.next)?;
    }
    match &aim.settings {
        Some(SettingsChange {
            path,
            before: Some(text),
            ..
        }) => crate::host::rewrite(path, text.as_bytes()),
        Some(SettingsChange {
            path, before: None, ..
        }) => crate::host::remove(path),
        None => Ok(()),
    }
    .context("restoring the settings file")
}

/// An ssh connection that breaks, or a pager that is closed, must not leave a host half changed.
pub fn survive_lost_terminal() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    for lost in [Signal::SIGHUP, Signal::SIGPIPE] {
        // SAFETY: ignoring a signal installs no handler that could run.
        let _ = unsafe { signal(lost, SigHandler::SigIgn) };
    }
}
