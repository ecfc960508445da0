//! The deployment: the validated intent, before host facts are gathered.

use super::adopted::Adopted;
use super::endpoints::Endpoints;
use super::files::{ReferencedFiles, SynapseOptions};
use super::secrets;
use crate::settings::Settings;
use crate::settings::types::DatabaseKind;
use crate::topology::Topology;

/// Everything that the administrator requests of a host. The type is pure: two hosts with the same deployment may still
/// differ in their host facts.
pub struct Deployment {
    /// The validated settings of all sources.
    pub settings: Settings,
    /// The workers that `workers` describes.
    pub topology: Topology,
    /// The homeserver.d options.
    pub own_options: SynapseOptions,
    /// The referenced files.
    pub named: ReferencedFiles,
    /// The configuration of an adopted server.
    pub adopted: Adopted,
    /// The kind of database that already contains this server's data. `auto` resolves to it.
    pub settled: Option<DatabaseKind>,
}

impl Deployment {
    /// Whether there are workers. Redis and replication exist only for them.
    pub fn has_workers(&self) -> bool {
        !self.topology.workers.is_empty()
    }

    /// The secrets that these settings require.
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

    /// The endpoints that the processes listen on.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(&self.settings, &self.topology)
    }

    /// The kind of database in use, with `auto` resolved.
    pub fn database(&self) -> DatabaseKind {
        match (self.settings.database.kind, self.settled) {
            (DatabaseKind::Auto, Some(settled)) if self.settings.database.host.is_none() => settled,
            _ => self.settings.database.decided(self.has_workers()),
        }
    }
}
