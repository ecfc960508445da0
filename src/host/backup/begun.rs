//! The record of a restore that is not complete.

use crate::host::files;
use crate::state::paths;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A restore that has begun to change the host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BegunRestore {
    /// The ID of the backup.
    pub run: String,
    /// Whether the database is being loaded. It is loaded in one transaction, so if it has data, it has all.
    pub loading: bool,
}

impl BegunRestore {
    /// The record of a restore of this backup.
    pub fn new(run: &str) -> Self {
        Self {
            run: run.to_owned(),
            loading: false,
        }
    }

    /// Reads the record; `None` if no restore has begun, or if the record is damaged.
    pub fn read() -> Option<Self> {
        let text = files::read(paths::RESTORE).ok()??;
        serde_json::from_slice(&text).ok()
    }

    /// Writes the record.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string(self)?;
        files::replace(paths::RESTORE, format!("{text}\n").as_bytes(), 0o600)
    }

    /// Removes the record of a complete restore.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget() -> Result<()> {
        files::remove(paths::RESTORE)
    }
}
