//! Another host on which an agent works: the calls, and their answers.

use super::member::{Begun, Failed, Member, Planned, Undone};
use crate::failure::Failure;
use crate::host::{self, Agent, Archive, Host, Keys, Part};
use crate::plan::Removal;
use crate::plan::stage::Stage;
use crate::request::Sent;
use crate::state::SynapseVenv;
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A call of an agent. The answer to each is a [`crate::host::Reply`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// The release of the agent: a [`String`].
    Release,
    /// Inspect the host and plan: [`Prepared`].
    Prepare(Box<Task>),
    /// Take over the secrets that its processes need: before the first step is applied, because a first run creates them.
    HandOver(BTreeMap<String, String>),
    /// Unpack a part of the copy of a venv.
    Copy(Part),
    /// [`Member::apply`].
    Apply(usize),
    /// [`Member::verify`].
    Verify,
    /// [`Member::applied`].
    Applied,
    /// [`Member::begin_rollback`]: [`Begun`].
    BeginRollback,
    /// [`Member::undo`].
    Undo(usize, Failed),
    /// [`Member::end_rollback`].
    EndRollback(bool),
}

/// The part of a request that an agent needs. Secrets travel in it, and in no argument.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Task {
    /// The name of the host in `hosts`.
    pub host: String,
    /// The texts of the first host.
    pub sent: Sent,
    /// The secrets that its processes need, by name, as far as they exist.
    pub secrets: BTreeMap<String, String>,
    /// The work.
    pub work: Work,
    /// A summary of the command, as the manifest of the generation records it.
    pub summary: String,
}

/// The work of an agent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Lead the host to the state that its workers need.
    #[default]
    Install,
    /// The same for a host that was left out: the others went on without it.
    BringBack,
    /// Remove the server from the host.
    Remove(Removal),
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
    /// The processes to which nginx has to drain its connections before they stop.
    pub leaving: Vec<String>,
    /// The release of Synapse that its processes run afterwards; `None` without processes.
    pub release: Option<String>,
    /// The venv that the plan creates.
    pub venv: Option<SynapseVenv>,
    /// [`host::system`].
    pub system: String,
}

/// Another host during a run.
pub struct Remote {
    name: String,
    destination: String,
    agent: Agent,
    /// This host, whose secrets it needs.
    first: Host,
    /// The names of the secrets that its processes need.
    secrets: Vec<&'static str>,
    /// Whether it has them, and the copy of the venv.
    handed_over: bool,
    /// Its plan; empty before [`Remote::prepare`].
    pub prepared: Prepared,
}

impl Remote {
    /// Starts the agent of this release on a host, at `destination`: USER@HOST.
    ///
    /// # Errors
    /// When the host does not answer, or has another release.
    pub fn start(first: &Host, name: &str, destination: &str) -> Result<Self, Failure> {
        let unreachable = |error: anyhow::Error| {
            Failure::preflight(format!("{name} does not answer: {error:#}")).help(format!(
                "ssh {destination} synapse-workers --version; nothing else may be asked there, such as a password or a host key; \
                 or go on without it: synapse-workers install --without {name}"
            ))
        };
        let mut agent = Agent::start(destination, Keys::All).map_err(unreachable)?;
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
            destination: destination.to_owned(),
            agent,
            first: first.clone(),
            secrets: Vec::new(),
            handed_over: false,
            prepared: Prepared::default(),
        })
    }

    /// Has the agent inspect its host, and plan.
    ///
    /// # Errors
    /// When a preflight check of the host fails.
    pub fn prepare(
        &mut self,
        sent: Sent,
        secrets: Vec<&'static str>,
        work: Work,
        summary: String,
    ) -> Result<(), Failure> {
        let of = |error: anyhow::Error| Failure::from(error.context(self.name.clone()));
        let task = Task {
            host: self.name.clone(),
            sent,
            secrets: self.first.secrets_for(&secrets).map_err(of)?,
            work,
            summary,
        };
        let prepared = self.agent.ask(&Call::Prepare(Box::new(task)));
        let mut prepared: Prepared = prepared.map_err(of)?;
        for step in &mut prepared.plan {
            // Its secrets are copies, so the first host creates them first.
            step.stage = step.stage.max(Stage::PrepareOthers);
        }
        let ours = host::system();
        if prepared.venv.is_some() && prepared.system != ours {
            prepared.venv = None;
            prepared.notes.push(format!(
                "pip downloads Synapse there, because this host is not of the same kind: {} there, {ours} here",
                prepared.system
            ));
        }
        (self.prepared, self.secrets) = (prepared, secrets);
        Ok(())
    }

    /// Its destination for ssh.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// Has its steps wait until nginx sends no more requests there: it loses its server, and no other process stops first.
    pub fn defer(&mut self) {
        for step in &mut self.prepared.plan {
            step.stage = Stage::End;
        }
    }

    /// Whether it loses its server.
    pub fn goes(&self) -> bool {
        self.prepared.release.is_none()
    }

    fn ask<T: DeserializeOwned>(&mut self, call: &Call) -> Result<T> {
        self.agent.ask(call)
    }

    /// Gives the host the secrets that its processes need, and a copy of the venv of this host. Both exist by now, because
    /// the first host comes first.
    fn hand_over(&mut self) -> Result<()> {
        let secrets = self.first.secrets_for(&self.secrets)?;
        self.ask::<()>(&Call::HandOver(secrets))?;
        let archive = self.prepared.venv.as_ref().map(Archive::of).transpose()?;
        for part in archive.flatten().into_iter().flatten() {
            self.ask::<()>(&Call::Copy(part?))?;
        }
        Ok(())
    }
}

/// Refuses a host that does not answer a connection with the keys of root alone. The timer of a trial has no others.
///
/// # Errors
/// When the host does not answer.
pub fn check_keys_of_root(name: &str, destination: &str) -> Result<(), Failure> {
    let agent = Agent::start(destination, Keys::Root);
    let release = agent.and_then(|mut agent| agent.ask::<String>(&Call::Release));
    release.map(drop).map_err(|error| {
        Failure::preflight(format!(
            "--try: the timer that rolls back has no ssh agent, and without one, {name} does not answer: {error:#}"
        ))
        .help(format!(
            "give root of this host a key in a file, without a passphrase, and try it: sudo env -u SSH_AUTH_SOCK ssh \
             -o BatchMode=yes {destination} synapse-workers --version; or make the change without --try"
        ))
    })
}

impl Member for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn plan(&self) -> Vec<Planned> {
        self.prepared.plan.clone()
    }

    fn apply(&mut self, step: usize) -> Result<Option<String>> {
        if !self.handed_over {
            self.hand_over()?;
            self.handed_over = true;
        }
        self.ask(&Call::Apply(step))
    }

    fn verify(&mut self) -> Result<()> {
        self.ask(&Call::Verify)
    }

    fn applied(&mut self) -> Result<()> {
        self.ask(&Call::Applied)
    }

    fn begin_rollback(&mut self) -> Result<Begun> {
        self.ask(&Call::BeginRollback)
    }

    fn undo(&mut self, step: usize, failed: Failed) -> Result<Undone> {
        self.ask(&Call::Undo(step, failed))
    }

    fn end_rollback(&mut self, failed: bool) -> Result<()> {
        self.ask(&Call::EndRollback(failed))
    }
}
