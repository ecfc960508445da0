//! The host. Only this module accesses files, users, D-Bus and other programs.

pub mod accounts;
pub mod acme;
mod admission;
pub mod adopted;
mod agent;
pub mod alertmanager;
pub mod backup;
mod binding;
mod bounded;
mod calls;
pub mod certificate;
mod cluster;
mod compressor;
mod confined;
mod dbus;
mod drain;
pub mod endpoints;
mod existing_database;
mod external;
pub mod facts;
mod files;
mod gather;
mod generations;
pub mod intact;
pub mod interruption;
mod jobs;
pub mod load;
mod markers;
mod mas;
pub mod matrix_accounts;
mod migrate;
mod observe;
pub mod postgres;
mod probe;
mod processes;
pub mod programs;
pub mod promises;
pub mod python;
pub mod reach;
pub mod redis;
pub mod releases;
pub mod requirements;
mod resources;
mod resp;
mod schema;
mod scram;
mod screen;
mod secrets;
mod service;
mod size;
mod spare_nginx;
pub mod synapse;
#[expect(missing_docs)]
mod systemd;
mod terminal;
#[expect(missing_docs)]
mod tools;
mod trial;
mod validators;
mod venv;
mod venv_copy;
mod versions;
pub mod warm;
mod web_root;

pub use agent::{Agent, Keys, Reply};
pub use calls::Calls;
pub use existing_database::{created_database, existing_database, migration_was_interrupted};
pub use files::{
    Backup, Lock, back_up, directory, exists, is_directory, mode, names, read, read_text, remove,
    remove_with_drop_ins, replace, replace_link, rewrite,
};
pub use gather::{booted_with_systemd, local_postgres};
pub use generations::{Generation, edited_files, left_files};
pub use jobs::JobsFailed;
pub use mas::discovery;
pub use observe::{enabled, homeserver_d_differs, outdated, sockets};
pub use probe::{Answer, Peer, get, get_as_host, get_repeated, reachable, status};
pub use processes::{Memory, Process};
pub use resources::damage;
pub use schema::Schema;
pub use screen::Screen;
pub use size::size;
pub use systemd::Systemd;
pub use terminal::secret as typed_secret;
pub use tools::{Tool, find, journal};
pub use trial::{Ending, trial};
pub use venv_copy::{Archive, Copies, Part, system};

use crate::failure::Failure;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use facts::Facts;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a change waits for the lock of another run, which may just be ending.
const CHANGE_LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the rollback of a trial waits for the run in progress. After that, its service tries again.
const TRIAL_LOCK_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long a hold waits for a service that still has the lock of the previous hold.
const HOLD_LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// The host and its facts.
#[derive(Clone)]
pub struct Host {
    /// The facts as gathered at the beginning of the command. A run does not update them.
    pub facts: Facts,
    /// The connection to the system manager over D-Bus.
    pub systemd: Systemd,
}

/// Holds connections at nginx's sockets until it is dropped.
pub struct Hold {
    _lock: Lock,
}

impl Host {
    /// Prevents nginx from starting: a service that nginx starts after waits for a lock. The lock is also released when
    /// this program ends.
    ///
    /// # Errors
    /// When a service of an earlier hold keeps its lock, or when systemd refuses the job.
    pub fn hold(&self) -> Result<Hold> {
        let lock = files::lock(paths::HOLD, HOLD_LOCK_TIMEOUT)?;
        self.systemd.begin_start(units::HOLD)?;
        Ok(Hold { _lock: lock })
    }

    /// The same host without provided secrets, for a run that uses the stored ones.
    pub fn without_provided_secrets(&self) -> Self {
        Self {
            facts: Facts {
                provided: BTreeMap::new(),
                ..self.facts.clone()
            },
            systemd: self.systemd.clone(),
        }
    }
}

/// Takes the lock for changes of the host, since two concurrent runs would undo each other's changes. Without root
/// there is nothing to lock; a preflight check reports it.
///
/// # Errors
/// When another run holds the lock.
pub fn lock_if_root() -> Result<Option<Lock>> {
    is_root().then(|| lock(CHANGE_LOCK_TIMEOUT)).transpose()
}

/// Like [`lock_if_root`], but waits for the run that holds the lock.
///
/// # Errors
/// When the lock is not released within an hour.
pub fn lock_after_others() -> Result<Lock> {
    lock(TRIAL_LOCK_TIMEOUT)
}

/// Takes the lock for backups and their checks, of which one can run at a time.
///
/// # Errors
/// When another one runs.
pub fn backup_lock() -> Result<Lock, Failure> {
    let path = format!("{}/lock", paths::BACKUP);
    files::lock(path, CHANGE_LOCK_TIMEOUT).map_err(|error| {
        Failure::failed(format!("another backup or check is running: {error:#}"))
            .help("wait until it has ended: systemctl status synapse-backup synapse-backup-check")
    })
}

/// Whether this program runs as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The time in seconds since 1970.
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Creates a directory of Synapse's account, which no account outside of its group enters.
///
/// # Errors
/// When there is no such account.
pub fn own_directory(path: &str, user: &str) -> Result<()> {
    files::directory(path, files::Access::of(user, paths::GROUP, 0o750)?)
}

fn lock(timeout: Duration) -> Result<Lock> {
    files::lock(paths::LOCK, timeout).map_err(|error| {
        Failure::failed(format!(
            "another synapse-workers is changing this host: {error:#}"
        ))
        .help("wait until it has ended, then run the command again")
        .into()
    })
}
