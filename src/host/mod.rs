//! The host: the one module that touches files, users, D-Bus and other programs.

pub mod adopted;
pub mod certificate;
mod compressor;
mod elsewhere;
pub mod facts;
mod files;
mod generations;
mod letting_go;
mod migrate;
mod observe;
pub mod postgres;
mod probe;
pub mod programs;
pub mod redis;
mod resources;
mod schema;
mod secrets;
mod service;
pub mod synapse;
mod systemd;
mod tools;
mod trial;
mod venv;

pub use files::{
    Kept, keep, names, point, read, read_text, remove, remove_with_drop_ins, replace, rewrite,
};
pub use generations::{Generation, edited_files, left_files};
pub use observe::{
    enabled, made_database, move_was_cut, outdated, own_options_differ, settled_database, sockets,
};
pub use probe::{Answer, Peer, get, get_as_host, reachable};
pub use systemd::{Process, Systemd};
pub use tools::{Tool, find, journal};
pub use trial::{Ending, trial};

use crate::paths;
use crate::plan::names;
use anyhow::{Context, Result, bail};
use facts::Facts;
use std::collections::BTreeMap;
use std::fs::File;

/// This host, with what was found out about it.
pub struct Host {
    pub facts: Facts,
    pub systemd: Systemd,
}

/// Requests wait at nginx's ports while this is there.
pub struct Hold {
    _file: File,
}

impl Host {
    /// Keeps nginx from starting: what it starts after waits for a lock, which also goes when this program ends.
    pub fn hold(&self) -> Result<Hold> {
        let file =
            File::create(paths::HOLD).with_context(|| format!("cannot open {}", paths::HOLD))?;
        file.lock()
            .with_context(|| format!("cannot lock {}", paths::HOLD))?;
        self.systemd.begin(names::HOLD)?;
        Ok(Hold { _file: file })
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

/// Held while the host is changed: two runs at once would undo each other.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; without root there is nothing to be locked, and the checks tell so.
    pub fn take_if_root() -> Result<Option<Self>> {
        nix::unistd::geteuid()
            .is_root()
            .then(Self::take)
            .transpose()
    }

    /// Takes the lock when whoever holds it is done.
    pub fn wait() -> Result<Self> {
        let file = Self::open()?;
        file.lock()
            .with_context(|| format!("cannot lock {}", paths::LOCK))?;
        Ok(Self { _file: file })
    }

    fn open() -> Result<File> {
        File::create(paths::LOCK).with_context(|| format!("cannot open {}", paths::LOCK))
    }

    /// Takes the lock.
    ///
    /// # Errors
    /// At once when another run holds it.
    fn take() -> Result<Self> {
        let file = Self::open()?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => bail!(
                "another synapse-workers is changing this host; wait for it (it holds {})",
                paths::LOCK
            ),
            Err(std::fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", paths::LOCK))
            }
        }
    }
}
