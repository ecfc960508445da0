//! The records of backups on this host: the repository in use, the last complete backup and the last check.

use crate::host::files;
use crate::settings::Settings;
use crate::state::paths;
use anyhow::Result;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// The last complete backup.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LastBackup {
    /// The ID of the run.
    pub run: String,
    /// The end of the run, in seconds since 1970.
    pub time: u64,
    /// The size of all parts, in bytes.
    pub bytes: u64,
}

/// The last check that found no error.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checked {
    /// The ID of the newest run.
    pub run: String,
    /// The end of the check, in seconds since 1970.
    pub time: u64,
    /// Whether the run was restored.
    pub restored: bool,
}

fn at(name: &str) -> String {
    format!("{}/{name}", paths::BACKUP)
}

/// The last complete backup; `None` if there is none, or if its record cannot be read.
pub fn last() -> Option<LastBackup> {
    read(paths::LAST_BACKUP)
}

/// Records a complete backup.
///
/// # Errors
/// When the record cannot be written.
pub fn record(last: &LastBackup) -> Result<()> {
    write(paths::LAST_BACKUP, last)
}

/// Records a check.
///
/// # Errors
/// When the record cannot be written.
pub fn record_check(checked: &Checked) -> Result<()> {
    write(&at("check.json"), checked)
}

/// Whether this repository has held a backup of this host.
pub fn has_held(location: &str) -> bool {
    let known = files::read_text(at("repository")).ok().flatten();
    known.is_some_and(|known| known.trim_end() == location)
}

/// Records that this repository holds a backup of this host.
///
/// # Errors
/// When the record cannot be written.
pub fn record_repository(location: &str) -> Result<()> {
    files::replace(at("repository"), format!("{location}\n").as_bytes(), 0o644)
}

/// The path of the record of the repository, for messages.
pub fn forget_repository() -> String {
    format!("rm {}", at("repository"))
}

/// The age in seconds of the newest backup; before the first one, the time since backups are configured. `None` without
/// backups.
pub fn age(settings: &Settings) -> Option<u64> {
    if !settings.backup.is_on() {
        return None;
    }
    let modified = |path: &str| files::metadata(path)?.modified().ok();
    let since = modified(paths::LAST_BACKUP)
        .or_else(|| modified(&paths::secret(paths::BACKUP_PASSWORD)))?;
    let age = SystemTime::now().duration_since(since).unwrap_or_default();
    Some(age.as_secs())
}

/// Whether the newest backup is older than the settings allow.
pub fn overdue(settings: &Settings) -> bool {
    age(settings).is_some_and(|age| age > settings.backup.max_age.seconds())
}

fn read<T: DeserializeOwned>(path: &str) -> Option<T> {
    let text = files::read(path).ok()??;
    serde_json::from_slice(&text).ok()
}

fn write(path: &str, record: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string(record)?;
    files::replace(path, format!("{text}\n").as_bytes(), 0o644)
}
