//! The running server, as an upgrade finds it.

use super::super::installed::running;
use crate::failure::Failure;
use crate::host::releases::{self, Origin};
use crate::host::{Host, Schema};
use crate::preflight::{self, Purpose};
use crate::report::Report;
use crate::request::Request;
use crate::state::State;
use crate::state::restart_rules::VERSION;
use std::path::Path;

/// The running server.
pub struct Server {
    host: Host,
    state: State,
    pub request: Request,
    origin: Origin,
    /// The release of Synapse that runs.
    pub version: String,
}

/// The release of Synapse in a generation.
pub fn release_of(state: &State) -> Result<String, Failure> {
    let text = state.contents(VERSION)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

impl Server {
    /// Finds the running server.
    pub fn running() -> Result<Self, Failure> {
        let (state, request) = running()?;
        let host = preflight::host(&request, Purpose::Inspect)?;
        let version = release_of(&state)?;
        let origin = Origin::of(&host.facts);
        Ok(Self {
            host,
            state,
            request,
            origin,
            version,
        })
    }

    /// The Python that runs Synapse.
    pub fn python(&self) -> &Path {
        &self.host.facts.python
    }

    /// The newest release that is not a pre-release, or else the one that runs.
    pub fn newest(&self, report: &Report) -> Result<String, Failure> {
        let installed = self.host.facts.synapse.as_ref();
        let installed = installed.map_or(&self.version, |found| &found.version);
        let available = report.step("ask for the newest release of Synapse", || {
            self.origin.available(installed)
        })?;
        Ok(match available.newer {
            true => available.newest,
            // A package that was upgraded before, whose processes still run with the old release.
            false => installed.clone(),
        })
    }

    /// Why this command cannot change to a release.
    pub fn refuses(&self, target: &str) -> Option<Failure> {
        let running = &self.version;
        // Without the revision of Debian, as in 1.163.2-1.
        let upstream = target.split('-').next().unwrap_or(target);
        if releases::precedes(upstream, running) {
            let problem = format!(
                "Synapse {target} is older than {running}, which runs; `upgrade` does not go back"
            );
            let help = match self.origin.command(target) {
                None => {
                    "synapse-workers rollback (returns to the previous generation, if the database allows it)"
                }
                Some(_) => "see synapse-workers-upgrades(7), \"Going back to an older Synapse\"",
            };
            return Some(Failure::usage(problem).help(help));
        }
        if let Some(command) = self.origin.command(target) {
            let installed = self.host.facts.synapse.as_ref();
            let is_there = installed.is_some_and(|found| found.version == *target);
            let (problem, first) = match is_there {
                true => (
                    format!("Synapse {target} is installed already, and {running} runs"),
                    String::new(),
                ),
                false => (
                    format!(
                        "Synapse {running} was not installed by synapse-workers, so `upgrade` does not replace it by {target}"
                    ),
                    format!("{command} && "),
                ),
            };
            let help = format!("{first}synapse-workers install");
            return Some(Failure::preflight(problem).help(help));
        }
        None
    }

    /// The schema numbers of the Synapse that runs and of its database.
    pub fn schema(&self) -> Result<Option<Schema>, Failure> {
        Ok(self.host.schema(&self.state, &self.state)?)
    }
}
