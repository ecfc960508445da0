//! The endpoints of the installed Synapse, compared with the routing table.
//!
//! Synapse takes seconds to answer, so the result is recorded for the venv or package that it is about.

use super::confined::Sandbox;
use super::tools::{self, Tool};
use super::{Host, files, synapse};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::state::{HostFacts, State, paths};
use crate::topology::{Differences, Endpoint, Release, compare, releases};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;

const SCRIPT: &str = include_str!("endpoints.py");

/// The recorded result.
#[derive(Serialize, Deserialize)]
struct Record {
    /// See [`identity`].
    synapse: String,
    #[serde(flatten)]
    differences: Differences,
}

/// What a result is valid for: this release of this program, and a Synapse. The path of an own venv contains its version
/// and its packages.
fn identity(python: &Path) -> String {
    let program = env!("CARGO_PKG_VERSION");
    let python_path = python.display();
    if paths::is_our_python(python) {
        return format!("{program} {python_path}");
    }
    let version = synapse::version_of(python, synapse::PROJECT).unwrap_or_default();
    let time = synapse::installed_at(python).unwrap_or_default();
    format!("{program} {python_path} {version} {time}")
}

/// The recorded differences of the Synapse of this Python; `None` if it was not asked yet. A damaged record counts as
/// none, because it can be made again.
pub fn recorded(python: &Path) -> Option<Differences> {
    let text = files::read(paths::ENDPOINTS).ok()??;
    let record: Record = serde_json::from_slice(&text).ok()?;
    (record.synapse == identity(python)).then_some(record.differences)
}

/// The facts about this host that decide the routes of a deployment, without the others.
pub fn facts(deployment: &Deployment) -> HostFacts {
    let python = deployment.settings.synapse.python.as_ref();
    let synapse = synapse::find(python.map(|path| path.as_path()));
    let python = synapse
        .as_ref()
        .map_or_else(|| deployment.venv().python(), |found| found.python.clone());
    HostFacts {
        unserved: recorded(&python).unwrap_or_default().unserved,
        synapse,
        ..HostFacts::default()
    }
}

impl Host {
    /// The differences of the installed Synapse from the routing table: recorded ones, or else Synapse answers, in the
    /// sandbox of the main process in this state, which is on the host already. The answer is recorded.
    ///
    /// # Errors
    /// When Synapse does not answer within two minutes, or when the record cannot be written.
    pub fn differences(&self, sandbox: &State) -> Result<Differences> {
        let python = &self.facts.python;
        if let Some(known) = recorded(python) {
            return Ok(known);
        }
        let output = Tool::confined(Sandbox::of_synapse(sandbox)?, python)
            .args(["-I", "-c", SCRIPT])
            .output()?;
        ensure!(
            output.status.success(),
            "Synapse does not print its endpoints\n{}",
            tools::tail(&output, 4)
        );
        let endpoints: Vec<Endpoint> = serde_json::from_slice(&output.stdout)
            .context("cannot parse the endpoints that Synapse printed")?;
        let mut differences = compare(&endpoints);
        // Which endpoints of known releases stay with the main process is decided.
        let version = synapse::version_of(python, synapse::PROJECT).unwrap_or_default();
        if Release::of(&version) <= releases::NEWEST {
            differences.unrouted.clear();
        }
        let record = Record {
            synapse: identity(python),
            differences,
        };
        let text = serde_json::to_string_pretty(&record)?;
        files::replace(paths::ENDPOINTS, format!("{text}\n").as_bytes(), 0o644)?;
        Ok(record.differences)
    }

    /// Tests whether workers of the Synapse in `state`, a release that this program does not know, serve what the state
    /// sends to them. Returns a note.
    ///
    /// # Errors
    /// When they do not. The next run knows the answer and sends these requests to the main process.
    pub fn serves_routes(&self, state: &State) -> Result<Option<String>> {
        let differences = match self.differences(state) {
            Ok(differences) => differences,
            // Another structure of Synapse's code is no reason to refuse it; verification probes every route.
            Err(error) => return Ok(Some(format!("note: its endpoints are unknown: {error:#}"))),
        };
        let lost = self.unexpected(&differences);
        ensure!(
            lost.is_empty(),
            Failure::failed(format!(
                "workers of this Synapse do not serve {}, which this run would send to them",
                lost.join(", ")
            ))
            .help("run: synapse-workers install (sends them to the main process)")
        );
        Ok(differences.note())
    }

    /// Whether a Synapse has answered since the facts were gathered, and its workers do not serve a pattern of the routes
    /// that follow from the facts.
    pub fn has_learned_routes(&self) -> bool {
        let now = recorded(&self.facts.python);
        now.is_some_and(|now| !self.unexpected(&now).is_empty())
    }

    /// The patterns that this Synapse's workers do not serve, without those in the facts.
    fn unexpected<'a>(&self, differences: &'a Differences) -> Vec<&'a str> {
        let known = self.facts.differences.as_ref().map(|known| &known.unserved);
        let lost = differences.unserved.iter();
        lost.filter(|pattern| known.is_none_or(|known| !known.contains(*pattern)))
            .map(String::as_str)
            .collect()
    }
}
