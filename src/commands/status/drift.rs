//! Drift: differences of the host from the generation in use, and the changes that the next run would make.

use super::super::prepared;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::{self, Systemd};
use crate::parallel;
use crate::plan;
use crate::report::Report;
use crate::request::Request;
use crate::state::restart_rules::host_path;
use crate::state::units;
use crate::state::{Resource, State};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// The differences that [`Drift::find`] finds, with the keys that they have in the JSON of `status`.
#[derive(Serialize)]
pub(super) struct Drift {
    /// Files that were modified or removed outside this program.
    #[serde(rename = "drift")]
    files: Vec<String>,
    /// Venvs that do not work, or whose files are not as they were installed.
    damaged: Vec<Damaged>,
    /// Units that do not run or do not start at boot.
    units: Vec<Unit>,
    /// Units with stale processes, which run older code or secrets than the host has.
    outdated: Vec<Outdated>,
    /// The number of changes that an `install` would make; absent if it would refuse to run.
    changes: Option<usize>,
    /// The reason why an `install` would refuse to run.
    refused: Option<String>,
}

/// A damaged venv.
#[derive(Serialize)]
struct Damaged {
    what: String,
    #[serde(rename = "because")]
    reason: String,
}

/// A unit that is not as the generation has it.
#[derive(Serialize)]
struct Unit {
    unit: String,
    state: &'static str,
}

/// A unit with stale processes.
#[derive(Serialize)]
struct Outdated {
    unit: String,
    #[serde(rename = "because")]
    reasons: Vec<String>,
}

impl Drift {
    /// Compares the host with the generation in use, and that generation with the current settings.
    pub(super) fn find(
        common: &Common,
        systemd: &Systemd,
        current: u32,
        state: &State,
        known: Option<&Request>,
    ) -> Result<Self, Failure> {
        let mut files = host::edited_files(current)?;
        files.extend(edited_on_host(state)?);
        let (changes, of_units) = parallel::both(
            || prepared::pending(common).map_err(|failure| failure.to_string()),
            || Ok::<_, Failure>((units(systemd, state)?, outdated(systemd, state, known)?)),
        );
        let (units, outdated) = of_units?;
        Ok(Self {
            files,
            damaged: damaged(state),
            units,
            outdated,
            refused: changes.as_ref().err().cloned(),
            changes: changes.ok(),
        })
    }

    /// Prints the differences, each with its remedy.
    pub(super) fn print(&self, report: &Report) {
        for path in &self.files {
            report.say(format!(
                "modified outside synapse-workers: {path} (`synapse-workers install` restores it)"
            ));
        }
        for Damaged { what, reason } in &self.damaged {
            report.say(format!(
                "damaged: {what} (`synapse-workers install` builds it again)\n  because {reason}"
            ));
        }
        for Unit { unit, state } in &self.units {
            let remedy = match *state {
                "masked" => {
                    format!("run `systemctl unmask {unit}`, then `synapse-workers install`")
                }
                "disabled" => "`synapse-workers install` enables it".to_owned(),
                _ => "`synapse-workers install` starts it".to_owned(),
            };
            report.say(format!("{state}: {unit} ({remedy})"));
        }
        if !self.outdated.is_empty() {
            let units: Vec<&str> = self.outdated.iter().map(|row| row.unit.as_str()).collect();
            let reasons: BTreeSet<&String> =
                self.outdated.iter().flat_map(|row| &row.reasons).collect();
            report.say(format!(
                "outdated: {} (`synapse-workers install` restarts them in order)",
                units.join(" ")
            ));
            for reason in reasons {
                report.say(format!("  because {reason}"));
            }
        }
        match (self.changes, &self.refused) {
            (Some(number), _) if number > 0 => report.say(format!(
                "drift: {number} changes; see: synapse-workers plan"
            )),
            (None, Some(refused)) => report.say(format!(
                "drift: unknown, because `synapse-workers install` would be refused: {refused}"
            )),
            _ => {}
        }
    }
}

/// The damaged venvs of the generation in use.
fn damaged(state: &State) -> Vec<Damaged> {
    let damaged = |resource: &Resource| {
        Some(Damaged {
            what: resource.to_string(),
            reason: host::damage(resource)?,
        })
    };
    state.resources.iter().filter_map(damaged).collect()
}

/// Files on the host that differ from the generation.
fn edited_on_host(state: &State) -> Result<Vec<String>, Failure> {
    let mut changed = Vec::new();
    for (path, file) in &state.files {
        let Some(place) = host_path(path) else {
            continue;
        };
        if host::read(place)?.as_deref() != Some(&file.contents[..]) {
            changed.push(place.to_owned());
        }
    }
    Ok(changed)
}

/// Units that are not as the generation has them. A unit with several problems is listed with the one to fix first.
fn units(systemd: &Systemd, state: &State) -> Result<Vec<Unit>, Failure> {
    let found = systemd.units()?;
    let names: Vec<&str> = state.units.iter().map(String::as_str).collect();
    let files = systemd.file_states(&names)?;
    let mut wrong = Vec::new();
    for (unit, file) in state.units.iter().zip(files) {
        let known = found.get(unit);
        let enabled = file.starts_with("enabled") || units::is_needed(unit);
        let problem = match known {
            _ if file.starts_with("masked") => "masked",
            Some(state) if state.failed => "failed",
            Some(state) if state.runs() => {
                if enabled {
                    continue;
                }
                "disabled"
            }
            _ => "stopped",
        };
        wrong.push(Unit {
            unit: unit.clone(),
            state: problem,
        });
    }
    Ok(wrong)
}

/// Units with stale processes, each with the reasons.
fn outdated(
    systemd: &Systemd,
    state: &State,
    known: Option<&Request>,
) -> Result<Vec<Outdated>, Failure> {
    let configured = known.and_then(|known| known.settings.synapse.python.as_ref());
    let synapse = host::synapse::find(configured.map(|python| Path::new(python.as_str())));
    let ours = || known.map(|known| known.venv().python());
    let python = synapse.map(|found| found.python).or_else(ours);
    let found = host::outdated(systemd, &systemd.units()?, python.as_deref())?;
    let outdated = plan::outdated(state, &found).into_iter();
    Ok(outdated
        .map(|(unit, paths)| Outdated {
            unit,
            reasons: paths.iter().map(|path| plan::reason(path)).collect(),
        })
        .collect())
}
