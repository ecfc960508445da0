//! The part that all changing commands share: from the request to a plan, its confirmation, and the run.

use super::hosts::{self, Others};
use super::trial::{self, TrialAction};
use crate::cli::{Common, Flags};
use crate::converge::verify::Expected;
use crate::converge::{self, Goal, Member, OnHost, Remote, Run};
use crate::deployment::sizing;
use crate::failure::{Code, Failure};
use crate::host::{self, Host};
use crate::plan::step::Step;
use crate::plan::{Plan, Removal, Target, foreign};
use crate::preflight::{self, Admitted, Comparison, Finding, Purpose};
use crate::report::{self, Report};
use crate::report::{out, outln};
use crate::request::SettingsEdit as Change;
use crate::request::{self, Request};
use crate::state::cluster::DebianCluster;
use crate::state::paths;
use crate::state::restart_rules;
use crate::state::trial::Trial;
use crate::state::{Files, HostFacts, Observed, Resource, State};
use crate::topology::Differences;
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::fmt::Display;
use std::io::{IsTerminal, Write};

/// The input of a plan.
pub struct Prepared {
    pub request: Request,
    pub host: Host,
    /// The findings that do not prevent the change.
    pub warnings: Vec<Finding>,
    pub size: Comparison,
    facts: HostFacts,
    pub desired: State,
    pub observed: Observed,
    /// The other hosts.
    pub others: Others,
}

/// Loads the request, inspects the host, and renders and observes its state.
///
/// # Errors
/// When a preflight check fails, or when a file that this program did not create has a path that it needs.
pub fn prepare(
    common: &Common,
    flags: &Flags,
    change: &Change,
    purpose: Purpose,
) -> Result<Prepared, Failure> {
    let request = request::load(common, flags, change)?;
    let mut prepared = of_request(request, purpose)?;
    prepared.others = hosts::prepare(
        &prepared.host,
        &prepared.request,
        &change.summary(&flags.without),
    )?;
    hosts::refuse_other_releases(&prepared.others, &prepared.release())?;
    Ok(prepared)
}

/// Inspects the host for a request, and renders and observes its state. No other host is asked.
///
/// # Errors
/// As [`prepare`].
pub fn of_request(request: Request, purpose: Purpose) -> Result<Prepared, Failure> {
    let Admitted {
        host,
        warnings,
        size,
    } = preflight::admit(&request, purpose)?;
    let facts = host.facts.for_rendering();
    let desired = request.desired(&facts)?;
    let observed = host.observe(&desired)?;
    let mut request = request;
    request.notes.extend(changed_sizes(&desired, &observed));
    for note in &observed.notes {
        report::complain(format!("note: {note}"));
    }
    let foreign = foreign(&desired, &observed);
    if !foreign.is_empty() {
        return Err(Failure::preflight(format!(
            "refusing to overwrite files that synapse-workers did not create: {}",
            foreign.join(", ")
        ))
        .help(format!(
            "move them to another directory: mv {} /root/",
            foreign.join(" ")
        )));
    }
    Ok(Prepared {
        request,
        host,
        warnings,
        size,
        facts,
        desired,
        observed,
        others: Others::new(),
    })
}

/// The sizes that change because the host or its workers have changed, with the reasons.
fn changed_sizes(desired: &State, observed: &Observed) -> Vec<String> {
    let text = |files: &Files| {
        let file = files.get(restart_rules::SIZES)?;
        String::from_utf8(file.contents.clone()).ok()
    };
    let before = observed.baselines.first().and_then(text);
    let after = text(&desired.files);
    before
        .zip(after)
        .map_or_else(Vec::new, |(before, after)| sizing::changes(&before, &after))
}

impl Prepared {
    /// Notes about the settings, and about the endpoints of the installed Synapse.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let settings = self.request.notes.iter();
        let settings = settings.map(|note| format!("note: {note}"));
        let differences = self.host.facts.differences.as_ref();
        settings.chain(differences.and_then(Differences::note))
    }

    /// The conditions that verification checks.
    pub fn expected(&self) -> Expected {
        Expected::of(&self.request.input(&self.facts), &self.desired)
    }

    /// The release of Synapse that the processes run afterwards.
    pub fn release(&self) -> String {
        self.request.input(&self.facts).synapse().version
    }

    /// The plan for this host, as it is printed and applied. nginx also drains for processes of other hosts.
    pub fn plan(&self, goal: &Goal) -> Plan {
        let plan = goal.plan(&self.observed);
        plan.draining(hosts::leaving(&self.others))
    }

    /// The goal of applying the rendered state.
    pub fn goal(&self, summary: String) -> Goal<'_> {
        Goal {
            desired: &self.desired,
            target: Target::Rendered,
            removal: Removal::Keep,
            moving: self.request.moving.clone(),
            settings: self.request.change.clone(),
            settings_text: self.request.text.clone(),
            summary,
            expected: self.expected(),
        }
    }
}

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

/// Asks for confirmation at a terminal, unless `--yes` is set. Without a terminal, running the command counts as
/// confirmation.
pub fn agree(common: &Common, plan: &Plan, others: &[Remote]) -> Result<(), Failure> {
    let of_others = hosts::text(others);
    ask(common, format_args!("{plan}{of_others}\nApply this plan?"))
}

/// Asks a question at a terminal, under the conditions of [`agree`]. Any answer but yes ends the command.
pub fn ask(common: &Common, question: impl Display) -> Result<(), Failure> {
    match confirmed(common, question) {
        None | Some(true) => Ok(()),
        Some(false) => Err(Failure::failed("aborted").left("nothing was changed")),
    }
}

/// Whether the answer to a question at a terminal is yes; `None` if it is not asked, under the conditions of [`agree`].
pub fn confirmed(common: &Common, question: impl Display) -> Option<bool> {
    if common.yes || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return None;
    }
    out!("{question} [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The number of changes that an `install` would make now.
///
/// # Errors
/// When `install` would refuse to run.
pub fn pending(common: &Common) -> Result<usize, Failure> {
    // Without a fact, such as the roles of a PostgreSQL that does not answer, there would be changes that no run makes.
    let request = request::load(common, &Flags::default(), &Change::None)?;
    let prepared = of_request(request, Purpose::Run)?;
    let plan = prepared.goal("status".to_owned()).plan(&prepared.observed);
    Ok(plan.changes())
}
