//! What a host is: the same type for what it shall be, what a generation was, and nothing at all.
//!
//! `uninstall` is a plan towards [`State::default`], `rollback` one towards the state of an earlier generation.

use super::paths;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Files by their path in a generation. Those below `host/` also stand at that place on the host.
pub type Files = BTreeMap<String, File>;

/// The part of a generation that is copied to the host: unit files, sysusers.d, tmpfiles.d.
pub const HOST: &str = "host";

/// A host, as far as it concerns this program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub files: Files,
    /// Units that are enabled and running.
    pub units: BTreeSet<String>,
    /// What has to exist besides files and units.
    pub resources: BTreeSet<Resource>,
}

impl State {
    /// The contents of a rendered file.
    ///
    /// # Errors
    /// When the state has no such file.
    pub fn contents(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.files.get(path);
        let file = file.with_context(|| format!("{path} was not rendered"))?;
        Ok(file.contents.clone())
    }
}

/// One rendered file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// SHA-256 of the contents, in hexadecimal digits.
    pub digest: String,
    /// Readable by Synapse and root only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Units that have to act when this file changes; how is told by [`super::restart_rules`].
    pub affects: BTreeSet<String>,
    #[serde(skip)]
    pub contents: Vec<u8>,
}

impl File {
    /// A file with its digest.
    pub fn new(contents: Vec<u8>, affects: BTreeSet<String>) -> Self {
        Self {
            digest: digest(&contents),
            private: false,
            affects,
            contents,
        }
    }
}

/// SHA-256 in hexadecimal digits.
pub fn digest(contents: &[u8]) -> String {
    let hash = Sha256::digest(contents);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Something that is made once. The order of the variants is the order in which they are made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// A system group without a user.
    Group(String),
    /// A system user with its group.
    Account(String),
    /// A directory tree; its owners and modes stand in tmpfiles.d.
    Directory(String),
    /// Synapse of this version in a venv of ours.
    Venv(String),
    /// The state compressor in its own venv, at this version.
    Compressor(String),
    /// A random secret in the directory of secrets.
    Secret(String),
    /// A file in the directory of secrets, composed of a template of the generation and secrets.
    Composed(String),
    SigningKey,
    DatabaseRole(String),
    /// A role in the host's own PostgreSQL that may read its statistics.
    MonitorRole(String),
    Database {
        name: String,
        owner: String,
    },
    /// A service of an adopted server that does not start at boot. To take this away is to enable it again.
    Disabled(String),
    /// A service of an adopted server that does not run. To take this away is to start it again.
    Stopped(String),
}

impl Resource {
    /// Whether `uninstall` without `--purge` leaves it: what could not be made again.
    pub fn kept(&self) -> bool {
        match self {
            Resource::Account(name) => name == paths::GROUP,
            Resource::Group(_) => true,
            Resource::Directory(path) => {
                let own = [paths::STATE, paths::RUN, paths::OPT, paths::LOGS];
                !own.iter().any(|own| Path::new(path).starts_with(own))
                    && !paths::SHARED.contains(&path.as_str())
            }
            // Secrets are kept, and composed files are made of them.
            Resource::Venv(_)
            | Resource::Composed(_)
            | Resource::MonitorRole(_)
            | Resource::Compressor(_)
            | Resource::Disabled(_)
            | Resource::Stopped(_) => false,
            Resource::Secret(_)
            | Resource::SigningKey
            | Resource::DatabaseRole(_)
            | Resource::Database { .. } => true,
        }
    }
}

impl Resource {
    /// Whether this is somebody who owns files, and so is made before them.
    pub fn is_owner(&self) -> bool {
        matches!(self, Resource::Group(_) | Resource::Account(_))
    }

    /// Whether this is made only when everything is ready to take its place: an adopted server serves until then.
    pub fn is_late(&self) -> bool {
        matches!(self, Resource::Disabled(_) | Resource::Stopped(_))
    }

    /// Whether making this one takes the place of the other: the compressor has one venv, whatever version is in it.
    pub fn replaces(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Resource::Compressor(_), Resource::Compressor(_))
        )
    }

    /// The place of a secret, or of a file composed with one.
    pub fn secret_path(&self) -> Option<String> {
        match self {
            Resource::Secret(name) | Resource::Composed(name) => Some(paths::secret(name)),
            _ => None,
        }
    }

    /// Directories that this program works in.
    pub fn directories() -> impl Iterator<Item = Resource> {
        let data = Resource::Directory(paths::DATA.to_owned());
        Self::ours_by_name().chain([data])
    }

    /// Those of them in which nobody else has anything, whoever made them. Another package of Synapse may have made
    /// the directory of its data.
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
            Resource::Venv(version) => {
                write!(f, "Synapse {version} in {}", paths::venv(version))
            }
            Resource::Compressor(version) => {
                write!(f, "state compressor {version} in {}", paths::COMPRESSOR)
            }
            Resource::Secret(name) => write!(f, "secret {name}"),
            Resource::Composed(name) => write!(f, "{}", paths::secret(name)),
            Resource::SigningKey => write!(f, "signing key {}", paths::SIGNING_KEY),
            Resource::DatabaseRole(name) => write!(f, "PostgreSQL role {name}"),
            Resource::MonitorRole(name) => {
                write!(f, "PostgreSQL role {name}, which may read statistics")
            }
            Resource::Database { name, owner } => {
                write!(f, "PostgreSQL database {name}, owned by {owner}")
            }
            Resource::Disabled(service) => write!(f, "{service} disabled"),
            Resource::Stopped(service) => write!(f, "{service} stopped"),
        }
    }
}

/// A state with what is told about it, as it is kept beside the files of a generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Raised when an older program could not read this any more.
    pub format: u32,
    pub number: u32,
    /// Seconds since 1970.
    pub made: u64,
    /// What asked for it, in the words of the command line.
    pub summary: String,
    /// The generation that it took the place of, where `rollback` returns to; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    pub state: State,
}

impl Manifest {
    pub const FORMAT: u32 = 1;

    /// Reads a manifest.
    ///
    /// # Errors
    /// With [`Newer`] when a newer release wrote it, whatever else that has in it.
    pub fn parse(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_slice(text).context("not a manifest")?;
        if head.format > Self::FORMAT {
            return Err(Newer(head.format).into());
        }
        serde_json::from_slice(text).context("not a manifest")
    }
}

/// A file of a newer release, by the number of its format.
#[derive(Debug)]
pub struct Newer(u32);

impl std::error::Error for Newer {}

impl std::fmt::Display for Newer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "written by a newer synapse-workers (format {})", self.0)
    }
}

/// What was found on the host.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Files as they are on disk, of every generation that processes may run with: the one that was applied last
    /// and those switched to since, which an interrupted run or a failed way back leaves.
    pub baselines: Vec<Files>,
    /// Resources of the same generations.
    pub in_use: BTreeSet<Resource>,
    /// Digests of our files outside of generations, by their path in a generation.
    pub host_files: BTreeMap<String, String>,
    /// Our units that systemd knows.
    pub units: BTreeMap<String, UnitState>,
    pub resources: BTreeSet<Resource>,
    /// The generation that `current` names.
    pub current: Option<u32>,
    /// The generation that was last applied to its end.
    pub applied: Option<u32>,
    /// The number for the next generation.
    pub next: u32,
    /// Resources that an earlier run of this program made.
    pub made: BTreeSet<Resource>,
    /// The processors of the host: so many processes start at a time where they do so one after another.
    pub processors: usize,
    /// Files outside of generations that changed after units which read them at their start had begun, with these units.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    /// Sockets of processes, without directory and ending, that still have a file.
    pub sockets: BTreeSet<String>,
    /// Files of our own state that are damaged, and that this run makes good.
    pub notes: Vec<String>,
}

impl Observed {
    /// The generation that a run returns to: what processes run with, as far as that is known.
    pub fn before(&self) -> Option<u32> {
        self.applied.or(self.current)
    }
}

/// A unit as systemd knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Started to its end.
    pub active: bool,
    /// On its way to running or stopped; there may be processes.
    pub changing: bool,
    pub enabled: bool,
    pub failed: bool,
    /// Its files, or the links that enable it, changed since systemd read them.
    pub stale: bool,
}
