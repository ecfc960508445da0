//! Drift: differences of the host from the generation in use, and the changes that the next run would make.

use super::super::apply;
use crate::cli::Common;
use crate::failure::Failure;
use crate::host::{self, Systemd};
use crate::plan;
use crate::report::Report;
use crate::request::Request;
use crate::state::State;
use crate::state::restart_rules::host_path;
use crate::state::units;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The differences that [`Drift::find`] finds.
pub(super) struct Drift {
    /// Files that another program or the administrator changed or removed.
    files: Vec<String>,
    /// Units that do not run or do not start at boot, with their state.
    units: BTreeMap<String, &'static str>,
    /// Units with stale processes, which run older code or secrets than the host has, each with the reasons.
    outdated: BTreeMap<String, Vec<String>>,
    /// The number of changes that an `install` would make, or the reason why it would refuse to run.
    changes: Result<usize, String>,
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
        files.extend(on_host(state)?);
        Ok(Self {
            files,
            units: units(systemd, state)?,
            outdated: outdated(systemd, state, known)?,
            changes: apply::pending(common).map_err(|failure| failure.to_string()),
        })
    }

    /// Adds its keys to the JSON of `status`.
    pub(super) fn add_to(&self, told: &mut Value) {
        let listed =
            |(unit, because): (&String, &Vec<String>)| json!({"unit": unit, "because": because});
        told["drift"] = json!(self.files);
        told["units"] = self
            .units
            .iter()
            .map(|(unit, state)| json!({"unit": unit, "state": state}))
            .collect();
        told["outdated"] = self.outdated.iter().map(listed).collect();
        told["changes"] = json!(self.changes.as_ref().ok());
        told["refused"] = json!(self.changes.as_ref().err());
    }

    /// Prints the differences, each with its remedy.
    pub(super) fn tell(&self, report: &Report) {
        for path in &self.files {
            report.say(format!(
                "changed by somebody else: {path} (synapse-workers install undoes it)"
            ));
        }
        for (unit, state) in &self.units {
            let cure = match *state {
                "masked" => format!("systemctl unmask {unit}, then synapse-workers install"),
                _ => "synapse-workers install brings it back".to_owned(),
            };
            report.say(format!("{state}: {unit} ({cure})"));
        }
        if !self.outdated.is_empty() {
            let units: Vec<&str> = self.outdated.keys().map(String::as_str).collect();
            let reasons: BTreeSet<&String> = self.outdated.values().flatten().collect();
            report.say(format!(
                "outdated: {} (synapse-workers install restarts them in order)",
                units.join(" ")
            ));
            for reason in reasons {
                report.say(format!("  because {reason}"));
            }
        }
        match &self.changes {
            Ok(0) => {}
            Ok(number) => report.say(format!(
                "drift: {number} changes; see: synapse-workers plan"
            )),
            Err(refused) => report.say(format!(
                "drift: not known, since an install would be refused: {refused}"
            )),
        }
    }
}

/// Files on the host that differ from the generation.
fn on_host(state: &State) -> Result<Vec<String>, Failure> {
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
fn units(systemd: &Systemd, state: &State) -> Result<BTreeMap<String, &'static str>, Failure> {
    let found = systemd.units()?;
    let mut wrong = BTreeMap::new();
    for unit in &state.units {
        let (known, file) = (found.get(unit), systemd.file_state(unit)?);
        let enabled = file.starts_with("enabled") || units::is_needed(unit);
        let problem = match known {
            _ if file.starts_with("masked") => "masked",
            Some(state) if state.failed => "failed",
            Some(state) if state.active || state.changing => {
                if enabled {
                    continue;
                }
                "disabled"
            }
            _ => "stopped",
        };
        wrong.insert(unit.clone(), problem);
    }
    Ok(wrong)
}

/// Units with stale processes, which run older code or secrets than the host has, each with the reasons.
fn outdated(
    systemd: &Systemd,
    state: &State,
    known: Option<&Request>,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let set = known.and_then(|known| known.settings.synapse.python.as_ref());
    let synapse = host::synapse::find(set.map(|python| Path::new(python.as_str())));
    let python = synapse.as_ref().map(|found| found.python.as_path());
    let found = host::outdated(systemd, &systemd.units()?, python)?;
    let outdated = plan::outdated(state, &found).into_iter();
    Ok(outdated
        .map(|(unit, paths)| (unit, paths.iter().map(|path| plan::reason(path)).collect()))
        .collect())
}
