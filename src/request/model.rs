//! The validated request.

use crate::deployment::adopted::Adopted;
use crate::deployment::{Deployment, ReferencedFiles, SynapseOptions};
use crate::failure::Failure;
use crate::plan::SettingsChange;
use crate::render::{self, Input};
use crate::settings::types::{DatabaseKind, NetworkAccess};
use crate::settings::{Loaded, Origin, SettingsError};
use crate::state::{HostFacts, State};
use crate::topology::{Duty, SpecError, Topology, WorkerSpec};
use std::collections::BTreeMap;
use std::ops::Deref;

/// A validated request, as far as that is possible without host facts.
pub struct Request {
    /// The deployment that the settings and files describe.
    pub deployment: Deployment,
    /// The SQLite file whose data is to be moved to PostgreSQL.
    pub moving: Option<String>,
    /// The text of the settings file after this run.
    pub text: String,
    /// The change of the settings file, if its text differs.
    pub change: Option<SettingsChange>,
    /// Notes about the settings for the user.
    pub notes: Vec<String>,
}

impl Deref for Request {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

/// Contents of the administrator's files.
pub(super) struct Files {
    pub homeserver_d: SynapseOptions,
    pub referenced: ReferencedFiles,
    pub adopted: Adopted,
}

impl Request {
    pub(super) fn new(
        loaded: Loaded,
        specs: Vec<WorkerSpec>,
        files: Files,
        existing_database: Option<DatabaseKind>,
        text: String,
        change: Option<SettingsChange>,
    ) -> Result<Self, Failure> {
        let topology = topology(&loaded, specs)?;
        if loaded.settings.sandbox.network == NetworkAccess::Senders
            && topology.with_duty(Duty::FederationSender).next().is_none()
        {
            let message = "`sandbox.network` is senders, but no worker has the role federation_sender, so no process could \
                           send to other homeservers; add federation_sender to `workers`, or set `sandbox.network` to auto";
            let origin = &loaded.origins["sandbox.network"];
            return Err(Failure::usage(SettingsError::at(origin, message)));
        }
        let deployment = Deployment {
            host: None,
            left_out: loaded.left_out,
            handed: BTreeMap::new(),
            settings: loaded.settings,
            topology,
            homeserver_d: files.homeserver_d,
            referenced: files.referenced,
            adopted: files.adopted,
            existing_database,
        };
        Ok(Self {
            deployment,
            moving: None,
            text,
            change,
            notes: loaded.notes,
        })
    }

    /// Refuses workers on other hosts that lack what their role needs there.
    pub(super) fn check_hosts(&self, origin: &Origin) -> Result<(), Failure> {
        match self.misplaced() {
            None => Ok(()),
            Some(found) => {
                let error = SettingsError::at(origin, format!("hosts: {}", found.problem));
                Err(Failure::usage(error.help(found.help)))
            }
        }
    }

    /// Refuses settings with other hosts, for a command that changes a host.
    ///
    /// # Errors
    /// With the exit status of the preflight checks.
    pub fn refuse_hosts(&self) -> Result<(), Failure> {
        match self.names_other_hosts() {
            true => Err(several_hosts()),
            false => Ok(()),
        }
    }

    /// The condition under which a host may be left out.
    pub(super) fn notes_on_left_out(&self) -> impl Iterator<Item = String> {
        let names = self.names_left_out().into_iter();
        names.map(|name| {
            format!(
                "{name} is left out, and the next `install` brings it back. Its workers must be stopped, or have lost this \
                 host two minutes ago; see synapse-workers-cluster(7)"
            )
        })
    }

    /// Refuses keys, each with its place, that Synapse refuses beside a worker with the duty.
    pub(super) fn refuse_conflicts(&self, keys: &[(&str, Duty, String)]) -> Result<(), Failure> {
        let conflict = keys
            .iter()
            .find(|(_, duty, _)| self.topology.with_duty(*duty).next().is_some());
        match conflict {
            None => Ok(()),
            Some((key, _, place)) => Err(Failure::usage(format!(
                "{place}: `{key}` is a name of earlier releases, which Synapse refuses beside a worker that does this work"
            ))
            .help(format!("remove `{key}` from the file"))),
        }
    }

    /// The input of rendering.
    pub fn input<'a>(&'a self, facts: &'a HostFacts) -> Input<'a> {
        Input::new(&self.deployment, facts)
    }

    /// The desired state on the first host, which has these facts.
    pub fn desired(&self, facts: &HostFacts) -> Result<State, Failure> {
        Ok(render::desired(&self.input(facts))?)
    }

    /// The desired state on another host, given by its name, which has these facts.
    ///
    /// # Errors
    /// When the settings have no host with this name.
    pub fn desired_on(&self, host: &str, facts: &HostFacts) -> Result<State, Failure> {
        let hosts = &self.settings.hosts;
        if hosts.named(host).is_none() {
            let names: Vec<&str> = hosts.all().iter().map(|host| host.name.as_str()).collect();
            let help = match names.is_empty() {
                true => "`hosts` in the settings file is empty; without --host, the files of this host are written".to_owned(),
                false => format!("the other hosts are {}; without --host, the files of the first host are written", names.join(", ")),
            };
            return Err(Failure::usage(format!("--host: there is no host {host:?}")).help(help));
        }
        let deployment = self.deployment.on_host(host);
        Ok(render::desired(&Input::new(&deployment, facts))?)
    }
}

/// The refusal of settings with other hosts.
pub(super) fn several_hosts() -> Failure {
    Failure::preflight("`hosts` is set, and this command does not work on several hosts yet")
        .help("man synapse-workers-cluster (has the way that works)")
}

/// The workers of all hosts. An error is at the setting that has the workers.
fn topology(loaded: &Loaded, specs: Vec<WorkerSpec>) -> Result<Topology, Failure> {
    let alone = Topology::new(specs.clone());
    let alone = alone.map_err(|error| refused(&loaded.origins["workers"], "workers", &error))?;
    let hosts = &loaded.settings.hosts;
    if hosts.is_empty() {
        return Ok(alone);
    }
    let all = Topology::of_hosts(specs, hosts);
    all.map_err(|error| refused(&loaded.origins["hosts"], "hosts", &error))
}

/// The error for invalid workers, with its place in the settings file; the names of flags and variables already say
/// which setting they are.
pub(super) fn refused(origin: &Origin, key: &str, error: &SpecError) -> Failure {
    match origin {
        Origin::File { .. } => Failure::usage(format!("{origin}: {key}: {error}")),
        origin => Failure::usage(format!("{origin}: {error}")),
    }
}
