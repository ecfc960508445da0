//! Which releases of Synapse can use a database. Pure.
//!
//! Synapse numbers the schema of its database. Its code names the schema that it is written for (`SCHEMA_VERSION`) and
//! the oldest schema whose code can still use the database afterwards (`SCHEMA_COMPAT_VERSION`). The database stores
//! both numbers of the code that last ran, and older code than the second number does not start (Synapse 1.163.2,
//! storage/prepare_database.py).

use serde::Deserialize;
use std::fmt;

/// The code of a Synapse that is about to run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Code {
    /// Its release, such as 1.163.2.
    pub release: String,
    /// Its `SCHEMA_VERSION`.
    pub version: u32,
    /// Its `SCHEMA_COMPAT_VERSION`.
    pub compat: u32,
}

/// The schema numbers that a database stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Database {
    /// `schema_version`; `None` if no Synapse has used the database yet.
    pub version: Option<u32>,
    /// `schema_compat_version`.
    pub compat: Option<u32>,
}

/// The reason why Synapse would not start with its database.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    code: Code,
    /// The oldest schema whose code can use the database.
    compat: u32,
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code: Code {
                release, version, ..
            },
            compat,
        } = self;
        write!(
            f,
            "Synapse {release} cannot use the database: a newer Synapse has upgraded it to schema_compat_version {compat}, \
             and Synapse {release} was written for schema {version}\n  \
             help: keep the newer Synapse, or restore a backup of the database from before the upgrade"
        )
    }
}

impl Code {
    /// Whether an older Synapse can use the database after this one has upgraded it, so that a rollback is possible.
    pub fn can_return_to(&self, older: &Self) -> bool {
        self.compat <= older.version
    }

    /// Checks whether this code can use a database. Returns a note if the code is older than what last ran, or if older
    /// code cannot use the database afterwards.
    ///
    /// # Errors
    /// When Synapse would not start.
    pub fn accepts(&self, database: &Database) -> Result<Option<String>, Refused> {
        let Some(found) = database.version else {
            return Ok(None);
        };
        if let Some(compat) = database.compat.filter(|compat| *compat > self.version) {
            return Err(Refused {
                code: self.clone(),
                compat,
            });
        }
        let release = &self.release;
        Ok(if found > self.version {
            Some(format!(
                "note: the database has schema {found}, which is newer than schema {} of Synapse {release}; it can still \
                 use the database",
                self.version
            ))
        } else if self.compat > found {
            Some(format!(
                "note: Synapse {release} upgrades the database to schema {}, which a Synapse for schema {found} cannot use; \
                 to return to the older Synapse, restore a backup",
                self.version
            ))
        } else {
            None
        })
    }
}
