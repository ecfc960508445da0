//! The state of a host. The same type describes the desired state, the state of a generation, and a host without this
//! program.
//!
//! `uninstall` plans towards [`State::default`], `rollback` towards the state of an earlier generation.

use super::{Resource, digest};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Files by their path in a generation. A file below `host/` is also copied to the rest of its path on the host.
pub type Files = BTreeMap<String, File>;

/// The part of a generation that is copied to the host: unit files, sysusers.d, tmpfiles.d.
pub const HOST: &str = "host";

/// The state of a host, as far as this program manages it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// The files of the generation.
    pub files: Files,
    /// Units that are enabled and running.
    pub units: BTreeSet<String>,
    /// Resources that must exist in addition to files and units.
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
    /// Whether only Synapse and root may read the file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// Units that must act when this file changes; [`super::restart_rules`] defines how.
    pub affects: BTreeSet<String>,
    /// The bytes of the file. A manifest does not contain them; they are read from the generation.
    #[serde(skip)]
    pub contents: Vec<u8>,
}

impl File {
    /// Creates a file and computes its digest.
    pub fn new(contents: Vec<u8>, affects: BTreeSet<String>) -> Self {
        Self {
            digest: digest(&contents),
            private: false,
            affects,
            contents,
        }
    }
}

/// The state of a generation and its metadata, stored beside the files of the generation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format. It is raised when older releases cannot read the new format.
    pub format: u32,
    /// The number of the generation, which is also the name of its directory.
    pub number: u32,
    /// The time of creation, in seconds since 1970.
    #[serde(rename = "made")]
    pub created: u64,
    /// The command that created it, as written on the command line.
    pub summary: String,
    /// The generation that it replaced and that `rollback` returns to; `None` for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<u32>,
    /// The files, units and resources that belong to the generation.
    pub state: State,
}

impl Manifest {
    /// The format that this release writes, and the newest that it reads.
    pub const FORMAT: u32 = 1;

    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Newer`] when a newer release wrote it, whatever else it contains; another error when it is not a manifest.
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

/// The error for a file of a newer release; it holds the format of the file.
#[derive(Debug)]
pub struct Newer(u32);

impl std::error::Error for Newer {}

impl std::fmt::Display for Newer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "written by a newer synapse-workers (format {})", self.0)
    }
}

/// The observed state of the host.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Files on disk of every generation that processes may run with: the generation that was applied last and those
    /// that were switched to since, which an interrupted run or a failed rollback leaves.
    pub baselines: Vec<Files>,
    /// The resources of these generations.
    pub in_use: BTreeSet<Resource>,
    /// Digests of this program's files outside generations, by their path in a generation.
    pub host_files: BTreeMap<String, String>,
    /// Units of this program that systemd knows.
    pub units: BTreeMap<String, UnitState>,
    /// The resources that exist, among those that are desired or recorded, whether this program created them or not.
    pub resources: BTreeSet<Resource>,
    /// Desired resources that exist and are damaged, with the reasons. `resources` does not contain them.
    pub damaged: BTreeMap<Resource, String>,
    /// The generation that `current` links to.
    pub current: Option<u32>,
    /// The generation that was last applied completely.
    pub applied: Option<u32>,
    /// The number for the next generation.
    pub next: u32,
    /// Resources that an earlier run of this program created.
    pub created: BTreeSet<Resource>,
    /// The number of processors of the host, which limits how many processes start at the same time.
    pub processors: usize,
    /// Files outside generations that changed after the start of units that read them at start, with these units.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    /// Names of process sockets, without directory and suffix, that still have a file.
    pub sockets: BTreeSet<String>,
    /// Whether the authority has to be asked for the certificate of the desired state.
    pub lacks_certificate: bool,
    /// Damaged files of this program's own state, which this run repairs.
    pub notes: Vec<String>,
    /// See [`Observed::was_left_out`].
    pub left_out: bool,
}

impl Observed {
    /// The generation that a run rolls back to: the one that processes run with, as far as that is known.
    pub fn before(&self) -> Option<u32> {
        self.applied.or(self.current)
    }

    /// Records that the other hosts went on without this one. Its processes know nothing of that, even if their files are the
    /// right ones, so they stop before any process starts; and if the run fails, they must not start again.
    pub fn was_left_out(&mut self) {
        self.left_out = true;
        self.baselines.push(Files::new());
    }
}

/// The state of a unit according to systemd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitState {
    /// Whether it has started completely.
    pub active: bool,
    /// Whether it is starting or stopping, so that it may have processes.
    pub changing: bool,
    /// Whether systemd starts it when the host boots.
    pub enabled: bool,
    /// Whether systemd has given it up: its active state is `failed` (systemd(1)).
    pub failed: bool,
    /// Whether its files, or the links that enable it, have changed since systemd read them.
    pub stale: bool,
}

impl UnitState {
    /// Whether it has processes, or may have some.
    pub fn runs(&self) -> bool {
        self.active || self.changing
    }
}
