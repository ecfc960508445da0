//! Another host on which an agent works: the calls, and their answers.

use super::member::{Member, Planned, Undone};
use crate::failure::Failure;
use crate::host::Agent;
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A call of an agent. The answer to each is a [`crate::host::Reply`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// The release of the agent: a [`String`].
    Release,
    /// Inspect the host and plan: [`Prepared`].
    Prepare(Box<Task>),
    /// [`Member::apply`].
    Apply(usize),
    /// [`Member::verify`].
    Verify,
    /// [`Member::applied`].
    Applied,
    /// [`Member::begin_rollback`].
    BeginRollback,
    /// [`Member::undo`].
    Undo(usize, bool),
    /// [`Member::end_rollback`].
    EndRollback(bool),
}

/// The part of a request that an agent needs. Secrets travel in it, and in no argument.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Task {
    /// The name of the host in `hosts`.
    pub host: String,
    /// The settings file of the first host.
    pub settings: String,
    /// The files of homeserver.d, by name.
    pub homeserver_d: BTreeMap<String, String>,
    /// The secrets that its processes need, by name.
    pub secrets: BTreeMap<String, String>,
    /// A summary of the command, as the manifest of the generation records it.
    pub summary: String,
}

/// The inspected host, and its plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Prepared {
    /// Notes for the administrator.
    pub notes: Vec<String>,
    /// The plan.
    pub plan: Vec<Planned>,
    /// The number of steps that change the host.
    pub changes: usize,
}

/// Another host during a run.
pub struct Remote {
    name: String,
    agent: Agent,
    /// Its plan; empty before [`Remote::prepare`].
    pub prepared: Prepared,
}

impl Remote {
    /// Starts the agent of this release on a host.
    ///
    /// # Errors
    /// When the host does not answer, or has another release.
    pub fn start(name: &str, destination: &str) -> Result<Self, Failure> {
        let unreachable = |error: anyhow::Error| {
            Failure::preflight(format!("{name} does not answer: {error:#}")).help(format!(
                "ssh {destination} synapse-workers --version; nothing else may be asked there, such as a password or a host key"
            ))
        };
        let mut agent = Agent::start(destination).map_err(unreachable)?;
        let release: String = agent.ask(&Call::Release).map_err(unreachable)?;
        let ours = env!("CARGO_PKG_VERSION");
        if release != ours {
            return Err(Failure::preflight(format!(
                "{name} has synapse-workers {release}, and this host has {ours}"
            ))
            .help(format!("install the same package on {name}")));
        }
        Ok(Self {
            name: name.to_owned(),
            agent,
            prepared: Prepared::default(),
        })
    }

    /// Has the agent inspect its host, and plan.
    ///
    /// # Errors
    /// When a preflight check of the host fails.
    pub fn prepare(&mut self, task: Task) -> Result<(), Failure> {
        let prepared = self.agent.ask(&Call::Prepare(Box::new(task)));
        self.prepared = prepared.map_err(|error| Failure::from(error.context(self.name.clone())))?;
        Ok(())
    }

    fn ask<T: DeserializeOwned>(&mut self, call: &Call) -> Result<T> {
        self.agent.ask(call)
    }
}

impl Member for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn plan(&self) -> Vec<Planned> {
        self.prepared.plan.clone()
    }

    fn apply(&mut self, step: usize) -> Result<Option<String>> {
        self.ask(&Call::Apply(step))
    }

    fn verify(&mut self) -> Result<()> {
        self.ask(&Call::Verify)
    }

    fn applied(&mut self) -> Result<()> {
        self.ask(&Call::Applied)
    }

    fn begin_rollback(&mut self) -> Result<Vec<Planned>> {
        self.ask(&Call::BeginRollback)
    }

    fn undo(&mut self, step: usize, failed: bool) -> Result<Undone> {
        self.ask(&Call::Undo(step, failed))
    }

    fn end_rollback(&mut self, failed: bool) -> Result<()> {
        self.ask(&Call::EndRollback(failed))
    }
}
