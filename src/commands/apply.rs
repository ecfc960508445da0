//! The end that all changing commands share: from a plan to its confirmation, the run and the trial.

use super::confirmation::agree;
use super::hosts::{self, Others};
use super::trial::{self, TrialAction};
use crate::cli::Common;
use crate::converge::{self, Goal, Member, OnHost, Run};
use crate::failure::{Code, Failure};
use crate::host::{self, Host};
use crate::plan::Plan;
use crate::plan::step::Step;
use crate::report::{Report, outln};
use crate::state::cluster::DebianCluster;
use crate::state::paths;
use crate::state::trial::Trial;
use crate::state::{Observed, Resource, State};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// A run that has reached its goal. As JSON, it is what a command prints that changed the host.
#[derive(Serialize)]
pub struct Finished {
    /// The number of changes.
    pub changed: usize,
    trial: Option<Trial>,
    /// The report that ends `install`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Json>,
    /// The lines of this report.
    #[serde(skip)]
    pub lines: Vec<String>,
}

impl Finished {
    /// Prints the number of changes, and the report if there is one.
    pub fn print(&self, common: &Common, report: &Report) {
        if common.json {
            outln!("{}", json!(self));
        }
        report.say(format!("{} changed ({})", self.changed, report.elapsed()));
        self.lines.iter().for_each(|line| report.say(line));
    }
}

/// A planned change of all hosts.
pub struct Planned<'a> {
    /// This host.
    pub host: &'a Host,
    /// Its goal.
    pub goal: &'a Goal<'a>,
    /// Its plan.
    pub plan: &'a Plan,
    /// Its state before.
    pub observed: &'a Observed,
    /// The other hosts.
    pub others: Others,
}

/// Confirms the plan at a terminal, and converges.
pub fn finish(
    common: &Common,
    planned: Planned,
    report: &Report,
    action: TrialAction,
) -> Result<Finished, Failure> {
    let Planned {
        host,
        goal,
        plan,
        observed,
        others,
    } = planned;
    action.check(plan, observed, &others)?;
    let mut trial = None;
    let changed = plan.changes() + hosts::changes(&others);
    if !plan.is_empty() || !hosts::are_done(&others) {
        refuse(host, goal.desired, plan, observed)?;
        // The administrator agreed to the rollback when the trial started, and a question could block it.
        if !matches!(action, TrialAction::Revert(_)) {
            agree(common, plan, &others)?;
        }
        host::interruption::watch();
        trial = action.start(common, host, plan, observed)?;
        let mut world = OnHost::new(host);
        let run = Run::new(&mut world, goal, plan, observed);
        let mut others: Vec<Box<dyn Member>> = others
            .into_iter()
            .map(|remote| Box::new(remote) as Box<dyn Member>)
            .collect();
        let result = converge::converge_all(run, &mut others, report);
        if let Err(error) = result {
            trial::after_failure(host, trial.as_ref(), error.rolled_back);
            return Err(error.failure);
        }
    }
    let finished = Finished {
        changed,
        trial: trial.clone(),
        server: None,
        lines: Vec::new(),
    };
    action.complete(host, trial, report)?;
    for note in restart_of_postgres(plan) {
        report.say(format!("note: {note}"));
    }
    Ok(finished)
}

/// The notes on files of PostgreSQL that the plan writes or removes. Its restart ends every connection, of other databases
/// too, so the administrator chooses the time.
fn restart_of_postgres(plan: &Plan) -> impl Iterator<Item = String> {
    let changed = plan.steps.iter().filter_map(|step| match step {
        Step::WriteFile { path, .. } | Step::RemoveFile { path } => {
            Some((path, DebianCluster::of_file(path)?))
        }
        _ => None,
    });
    // The restart that opens PostgreSQL to other hosts is a step of the plan.
    let restarts = plan
        .steps
        .iter()
        .any(|step| matches!(step, Step::Create(Resource::Listening { .. })));
    let pending = changed.filter(move |_| !restarts);
    pending.map(|(path, cluster)| {
        format!(
            "PostgreSQL applies the change of {path} when it restarts, when few users are active: systemctl restart {}",
            cluster.unit()
        )
    })
}

/// Refuses to continue without the signing key, or with a release of Synapse that would not start with the database. If
/// that release is not installed yet, or no generation is in use, the same validator checks the schema during the run,
/// before anything stops.
pub fn refuse(
    host: &Host,
    desired: &State,
    plan: &Plan,
    observed: &Observed,
) -> Result<(), Failure> {
    if host.has_lost_key(desired, observed) {
        return Err(Failure::preflight(format!(
            "the signing key of this server is missing: {}; without it, other servers cannot verify the events of this server",
            paths::SIGNING_KEY
        ))
        .help(
            "restore the file from a backup (root:synapse, mode 0640). Only if you have no backup, generate a new key: \
             python -m synapse._scripts.generate_signing_key",
        ));
    }
    let known = host.facts.synapse.is_some() && observed.current.is_some();
    if known && plan.checks_schema() {
        let in_use = observed
            .current
            .and_then(|number| Host::generation(number).ok());
        let sandbox = in_use.as_ref().map_or(desired, |(state, _)| state);
        let checked = host.accepts_schema(desired, sandbox);
        checked.map_err(|error| Failure::from(error).ending(Code::Preflight))?;
    }
    Ok(())
}
