//! Resources: things that are created once, in addition to files and units.

use super::{SynapseVenv, paths, units};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::path::Path;

/// A thing that is created once. The order of the variants is the order of creation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A system group without a user.
    Group(String),
    /// A system user with its group.
    Account(String),
    /// A directory tree; tmpfiles.d defines its ownership and permissions.
    Directory(String),
    /// A venv of this program with Synapse.
    Venv(SynapseVenv),
    /// The venv of the state compressor, with this version of it.
    Compressor(String),
    /// A random secret in the directory of secrets.
    Secret(String),
    /// A file in the directory of secrets, composed of a rendered template and secrets.
    Composed(String),
    /// The file with the certificate of `tls.acme`, at first with a placeholder.
    Pair,
    /// The key with which Synapse signs events (config_documentation.md, `signing_key_path`).
    SigningKey,
    /// A role in the host's own PostgreSQL, as which Synapse connects.
    DatabaseRole(String),
    /// A role in the host's own PostgreSQL that may read its statistics.
    MonitorRole(String),
    /// A database in the host's own PostgreSQL.
    Database {
        /// The name of the database.
        name: String,
        /// The role that owns it.
        owner: String,
    },
    /// A password of a role in the host's own PostgreSQL, for processes on other hosts.
    RolePassword(String),
    /// A line in PostgreSQL's file with rules for clients that includes this program's file beside it.
    Included {
        /// The path of PostgreSQL's file.
        file: String,
        /// The name of this program's file.
        name: String,
    },
    /// The host's own PostgreSQL, listening on an address. Creating this resource restarts PostgreSQL; removing it leaves
    /// that to the administrator.
    Listening {
        /// The unit of PostgreSQL.
        unit: String,
        /// The address.
        address: IpAddr,
    },
    /// A disabled service that ours replaces: that of an adopted server, or of the distribution's nginx. Removing this resource enables the service again.
    Disabled(String),
    /// The same service, stopped. Removing this resource starts the service again.
    Stopped(String),
}

impl Resource {
    /// Whether `uninstall` without `--purge` retains it, because it could not be created again.
    pub fn is_retained(&self) -> bool {
        match self {
            Resource::Account(name) => name == paths::GROUP,
            Resource::Group(_) => true,
            Resource::Directory(path) => {
                let own = [paths::STATE, paths::RUN, paths::OPT, paths::LOGS];
                !own.iter().any(|own| Path::new(path).starts_with(own))
                    && !paths::SHARED.contains(&path.as_str())
            }
            // Secrets are retained, and files can be composed of them again.
            Resource::Venv(_)
            | Resource::Composed(_)
            | Resource::Pair
            | Resource::MonitorRole(_)
            | Resource::RolePassword(_)
            | Resource::Included { .. }
            | Resource::Listening { .. }
            | Resource::Compressor(_)
            | Resource::Disabled(_)
            | Resource::Stopped(_) => false,
            Resource::Secret(_)
            | Resource::SigningKey
            | Resource::DatabaseRole(_)
            | Resource::Database { .. } => true,
        }
    }

    /// Whether this is an account or a group, which must exist before the files that it owns.
    pub fn is_owner(&self) -> bool {
        matches!(self, Resource::Group(_) | Resource::Account(_))
    }

    /// Whether this is created only when the generation is in use: the services that ours replace serve requests until then,
    /// and PostgreSQL reads a file of the generation when it restarts.
    pub fn is_late(&self) -> bool {
        self.is_replaced_service() || matches!(self, Resource::Listening { .. })
    }

    /// Whether this is a service that ours replaces.
    pub fn is_replaced_service(&self) -> bool {
        matches!(self, Resource::Disabled(_) | Resource::Stopped(_))
    }

    /// Whether this is the service of an adopted server: a Synapse on the same data.
    pub fn is_adopted_service(&self) -> bool {
        let own = |service: &str| service != units::DISTRIBUTION_NGINX;
        matches!(self, Resource::Disabled(service) | Resource::Stopped(service) if own(service))
    }

    /// Whether creating this resource replaces the other: the compressor has one venv, whatever its version.
    pub fn replaces(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Resource::Compressor(_), Resource::Compressor(_))
        )
    }

    /// The path of a secret or of a composed file; `None` for any other resource.
    pub fn secret_path(&self) -> Option<String> {
        match self {
            Resource::Secret(name) | Resource::Composed(name) => Some(paths::secret(name)),
            _ => None,
        }
    }

    /// The directory of a venv from which Synapse's processes run; `None` for any other resource.
    pub fn code_of_synapse(&self) -> Option<String> {
        match self {
            Resource::Venv(venv) => Some(venv.directory()),
            _ => None,
        }
    }

    /// All directories of this program, and Synapse's data directory.
    pub fn directories() -> impl Iterator<Item = Resource> {
        let data = Resource::Directory(paths::DATA.to_owned());
        Self::ours_by_name().chain([data])
    }

    /// The directories that belong to this program alone, even if it did not create them. The data directory is not
    /// among them: another package of Synapse may have created it.
    pub fn ours_by_name() -> impl Iterator<Item = Resource> {
        [
            paths::ETC,
            paths::HOMESERVER_D,
            paths::SECRETS,
            paths::STATE,
            paths::RUN,
            paths::OPT,
        ]
        .into_iter()
        .map(|path| Resource::Directory(path.to_owned()))
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Resource::Group(name) => write!(f, "system group {name}"),
            Resource::Account(name) => write!(f, "system user {name}"),
            Resource::Directory(path) => write!(f, "directory {path}"),
            Resource::Venv(venv) => write!(f, "{venv} in {}", venv.directory()),
            Resource::Compressor(version) => {
                write!(f, "state compressor {version} in {}", paths::COMPRESSOR)
            }
            Resource::Secret(name) => write!(f, "secret {name}"),
            Resource::Composed(name) => write!(f, "{}", paths::secret(name)),
            Resource::Pair => {
                write!(f, "{}, at first with a placeholder", paths::ACME_PAIR)
            }
            Resource::SigningKey => write!(f, "signing key {}", paths::SIGNING_KEY),
            Resource::DatabaseRole(name) => write!(f, "PostgreSQL role {name}"),
            Resource::MonitorRole(name) => {
                write!(f, "PostgreSQL role {name}, which may read statistics")
            }
            Resource::Database { name, owner } => {
                write!(f, "PostgreSQL database {name}, owned by {owner}")
            }
            Resource::RolePassword(name) => write!(f, "password of the PostgreSQL role {name}"),
            Resource::Included { file, name } => write!(f, "line in {file} that includes {name}"),
            Resource::Listening { address, .. } => write!(f, "PostgreSQL listening on {address}"),
            Resource::Disabled(service) => write!(f, "{service} disabled"),
            Resource::Stopped(service) => write!(f, "{service} stopped"),
        }
    }
}
