//! The deployment: the validated intent, before host facts are gathered.

use super::adopted::Adopted;
use super::files::{ReferencedFiles, SynapseOptions};
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, OtherHost, Secret};
use crate::topology::{Logins, Topology};
use std::collections::BTreeMap;

/// Everything that the administrator requests of a host. The type is pure: two hosts with the same deployment may still
/// differ in their host facts.
#[derive(Clone)]
pub struct Deployment {
    /// The name of the host that this deployment is for; `None` for the first host, which has the settings.
    pub host: Option<String>,
    /// The hosts of the settings file that are left out: nothing is done there, and `settings.hosts` does not contain them.
    pub left_out: Vec<OtherHost>,
    /// The secrets that the first host has handed over to this one.
    pub handed: BTreeMap<&'static str, Secret>,
    /// The validated settings of all sources.
    pub settings: Settings,
    /// The workers that `workers` describes.
    pub topology: Topology,
    /// The administrator's options of Synapse, from /etc/synapse-workers/homeserver.d.
    pub homeserver_d: SynapseOptions,
    /// The files that settings name, such as a log configuration.
    pub referenced: ReferencedFiles,
    /// The configuration of an adopted server.
    pub adopted: Adopted,
    /// The kind of database that already contains this server's data. `auto` resolves to it.
    pub existing_database: Option<DatabaseKind>,
}

impl Deployment {
    /// Whether there are workers. Redis and replication exist only for them.
    pub fn has_workers(&self) -> bool {
        !self.topology.workers.is_empty()
    }

    /// The service in which users log in.
    pub fn logins(&self) -> Logins {
        match self.settings.mas.is_on() {
            true => Logins::Mas,
            false => Logins::Synapse,
        }
    }

    /// Whether the directory of the Unix socket for another reverse proxy keeps its owner: systemd opens the socket where
    /// an adopted server listened, and that server uses the directory again when it is restored.
    pub fn keeps_socket_directory(&self) -> bool {
        let socket = self.settings.nginx.listen_unix_socket.as_ref();
        self.settings.sockets.held
            && socket.is_some_and(|path| self.adopted.listened_at(path.as_str()))
    }

    /// The kind of database in use, with `auto` resolved.
    pub fn database(&self) -> DatabaseKind {
        match (self.settings.database.kind, self.existing_database) {
            (DatabaseKind::Auto, Some(existing)) if self.settings.database.host.is_none() => {
                existing
            }
            _ => self.settings.database.decided(self.has_workers()),
        }
    }
}
