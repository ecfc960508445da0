//! From the request to what a plan is made of: the host, its desired state and its observed state.

use super::hosts::{self, Others};
use crate::cli::{Common, Flags};
use crate::converge::Goal;
use crate::converge::verify::Expected;
use crate::deployment::sizing;
use crate::failure::Failure;
use crate::host::Host;
use crate::plan::{Plan, Removal, Target, foreign};
use crate::preflight::{self, Admitted, Comparison, Finding, Purpose};
use crate::report;
use crate::request::SettingsEdit as Change;
use crate::request::{self, Request};
use crate::state::restart_rules;
use crate::state::{Files, HostFacts, Observed, State};
use crate::topology::Differences;

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
