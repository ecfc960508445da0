//! The deployment: the validated intent, before a host is looked at.

use super::adopted::Adopted;
use super::endpoints::Endpoints;
use super::files::{ReferencedFiles, SynapseOptions};
use super::secrets;
use crate::settings::Settings;
use crate::settings::types::DatabaseKind;
use crate::topology::Topology;

/// Everything that is wanted of a host. Pure: two hosts with the same deployment may still differ in their facts.
pub struct Deployment {
    pub settings: Settings,
    pub topology: Topology,
    pub own_options: SynapseOptions,
    pub named: ReferencedFiles,
    /// The configuration of an adopted server.
    pub adopted: Adopted,
    /// The database that this server's data is in already, which `auto` keeps to.
    pub settled: Option<DatabaseKind>,
}

impl Deployment {
    /// Redis, replication and the rest are there for workers only.
    pub fn has_workers(&self) -> bool {
        !self.topology.workers.is_empty()
    }

    /// The secrets that these settings ask for.
    pub fn secrets(&self) -> impl Iterator<Item = &'static secrets::Secret> {
        let conditions = secrets::Conditions {
            settings: &self.settings,
            workers: self.has_workers(),
            database: self.database(),
        };
        secrets::SECRETS
            .iter()
            .filter(move |secret| (secret.wanted)(&conditions))
    }

    /// Where processes listen.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(&self.settings, &self.topology)
    }

    /// Which database serves, `auto` resolved.
    pub fn database(&self) -> DatabaseKind {
        match (self.settings.database.kind, self.settled) {
            (DatabaseKind::Auto, Some(settled)) if self.settings.database.host.is_none() => settled,
            _ => self.settings.database.decided(self.has_workers()),
        }
    }
}
