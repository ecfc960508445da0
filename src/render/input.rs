//! The input of rendering, and the values that follow from it.

use super::network::OwnOptions;
use super::unit_files;
use crate::deployment::endpoints::Endpoints;
use crate::deployment::secrets::Secret;
use crate::deployment::{Deployment, Sizes};
use crate::settings::types::OtherHost;
use crate::state::HostFacts;
use crate::state::host_facts::Installed;
use crate::topology::{Release, RoutingTable, Unserved, Worker};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// The input of rendering the files of one host.
pub struct Input<'a> {
    /// The validated intent of the administrator, for all hosts.
    pub deployment: &'a Deployment,
    /// The properties of the machine that the rendered files depend on.
    pub facts: &'a HostFacts,
    /// The host; `None` for the first host, which has main, nginx and all other services.
    pub host: Option<&'a OtherHost>,
    derived: Derived,
}

/// Values that follow from the other fields of [`Input`]. The files of every worker depend on them, and they depend on
/// all workers, so each is computed once: otherwise the time of rendering would grow with the square of the workers.
#[derive(Default)]
struct Derived {
    endpoints: OnceCell<Endpoints>,
    units: OnceCell<BTreeSet<String>>,
    own_options: OnceCell<OwnOptions>,
}

impl Deref for Input<'_> {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        self.deployment
    }
}

impl<'a> Input<'a> {
    /// The input of rendering the host of this deployment, which has these facts.
    pub fn new(deployment: &'a Deployment, facts: &'a HostFacts) -> Self {
        let host = deployment.host.as_ref();
        Self {
            deployment,
            facts,
            host: host.and_then(|name| deployment.settings.hosts.named(name)),
            derived: Derived::default(),
        }
    }

    /// The name of the host; `None` for the first host.
    pub fn host_name(&self) -> Option<&'a str> {
        self.host.map(|host| host.name.as_str())
    }

    /// Whether this is the first host.
    pub fn is_first(&self) -> bool {
        self.host.is_none()
    }

    /// The workers of this host.
    pub fn workers(&self) -> impl Iterator<Item = &'a Worker> {
        self.deployment.topology.on(self.host_name())
    }

    /// The directory of media, if a process of this host reads it.
    pub fn media_store_path(&self) -> Option<&'a str> {
        let deployment = self.deployment;
        let read = self.host.is_none_or(|host| deployment.reads_media(host));
        read.then_some(deployment.settings.media_store_path.as_str())
    }

    /// The secrets that the processes of this host read.
    pub fn secrets(&self) -> impl Iterator<Item = &'static Secret> {
        let all = self.deployment.secrets();
        all.filter(|secret| {
            self.host
                .is_none_or(|host| (secret.read_on_host)(self.deployment, &host.name))
        })
    }

    /// The endpoints of the processes, as this host sees them.
    pub fn endpoints(&self) -> &Endpoints {
        let endpoints = &self.derived.endpoints;
        endpoints
            .get_or_init(|| Endpoints::seen_from(self.host_name(), &self.settings, &self.topology))
    }

    /// The units that are enabled and running in the desired state.
    pub fn units(&self) -> &BTreeSet<String> {
        let units = &self.derived.units;
        units.get_or_init(|| unit_files::wanted(self))
    }

    /// The administrator's options of Synapse, parsed.
    pub(super) fn own_options(&self) -> &OwnOptions {
        let own = &self.derived.own_options;
        own.get_or_init(|| OwnOptions::of(self))
    }

    /// The sizes that follow from the host and its workers.
    pub fn sizes(&self) -> Sizes {
        self.deployment.sizes_on(self.host_name(), &self.facts.size)
    }

    /// Whether a secret exists, or will exist after this deployment is applied.
    pub fn has_secret(&self, name: &str) -> bool {
        let mut secrets = self.secrets().filter(|secret| secret.name == name);
        secrets.any(|secret| {
            secret.generated
                || secret.is_provided(&self.settings)
                || self.facts.secrets.contains(name)
        })
    }

    /// The Synapse installation that the units will run.
    pub fn synapse(&self) -> Installed {
        let ours = || {
            let venv = self.venv();
            Installed {
                python: venv.python(),
                version: venv.version,
            }
        };
        self.facts.synapse.clone().unwrap_or_else(ours)
    }

    /// The release of that Synapse.
    pub fn release(&self) -> Release {
        Release::of(&self.synapse().version)
    }

    /// The routes to its processes.
    pub fn routes(&self) -> RoutingTable {
        let unserved = Unserved::of(self.release()).and(&self.facts.unserved);
        RoutingTable::new(&self.topology, self.logins()).without(&unserved)
    }

    /// `stream_writers`, with the streams that its release has.
    pub fn stream_writers(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let mut writers = self.topology.stream_writers();
        writers.retain(|key, _| self.release().has_stream(key));
        writers
    }
}
