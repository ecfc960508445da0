//! The host: the one module that touches files, users, D-Bus and other programs.

pub mod accounts;
pub mod adopted;
mod binding;
mod bounded;
pub mod certificate;
mod compressor;
mod confined;
mod drain;
mod external;
pub mod facts;
mod files;
mod gather;
mod generations;
pub mod interruption;
mod migrate;
mod observe;
pub mod postgres;
mod probe;
pub mod programs;
pub mod python;
pub mod redis;
pub mod requirements;
mod resources;
mod resp;
mod schema;
mod secrets;
mod service;
pub mod synapse;
mod systemd;
mod tools;
mod trial;
mod validators;
mod venv;

pub use files::{
    Kept, Lock, directory, exists, is_directory, keep, names, point, read, read_text, remove,
    remove_with_drop_ins, replace, rewrite,
};
pub use gather::booted_with_systemd;
pub use generations::{Generation, edited_files, left_files};
pub use observe::{
    enabled, made_database, move_was_cut, outdated, own_options_differ, settled_database, sockets,
};
pub use probe::{Answer, Peer, get, get_as_host, reachable, status};
pub use systemd::{JobsFailed, Process, Systemd};
pub use tools::{Tool, find, journal};
pub use trial::{Ending, trial};

use crate::failure::Failure;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use facts::Facts;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long a change waits for another one that ends just now.
const MOMENT: Duration = Duration::from_secs(1);
/// How long the return from a trial waits for the run that is in progress; its service then tries again.
const RUN: Duration = Duration::from_secs(3600);
/// How long a hold waits for a service that still has the lock of the one before.
const HOLD: Duration = Duration::from_secs(30);

/// This host, with what was found out about it.
#[derive(Clone)]
pub struct Host {
    pub facts: Facts,
    pub systemd: Systemd,
}

/// Requests wait at nginx's ports while this is there.
pub struct Hold {
    _lock: Lock,
}

impl Host {
    /// Keeps nginx from starting: what it starts after waits for a lock, which also goes when this program ends.
    pub fn hold(&self) -> Result<Hold> {
        let lock = files::lock(paths::HOLD, HOLD)?;
        self.systemd.begin(units::HOLD)?;
        Ok(Hold { _lock: lock })
    }

    /// The same host for a run that is given no secrets: those that are there are the right ones.
    pub fn without_given(&self) -> Self {
        Self {
            facts: Facts {
                given: BTreeMap::new(),
                ..self.facts.clone()
            },
            systemd: self.systemd.clone(),
        }
    }
}

/// Takes the lock that a change of the host needs: two at once would undo each other. Without root there is nothing to be
/// locked, and a check says so.
///
/// # Errors
/// When another run has it.
pub fn lock_if_root() -> Result<Option<Lock>> {
    nix::unistd::geteuid()
        .is_root()
        .then(|| locked(MOMENT))
        .transpose()
}

/// As [`lock_if_root`], when the run that has the lock has ended.
///
/// # Errors
/// When that takes more than an hour.
pub fn lock_after_others() -> Result<Lock> {
    locked(RUN)
}

fn locked(patience: Duration) -> Result<Lock> {
    files::lock(paths::LOCK, patience).map_err(|error| {
        Failure::failed(format!(
            "another synapse-workers is changing this host: {error:#}"
        ))
        .help("wait until it has ended, then run this again")
        .into()
    })
}
