//! Which release of Synapse a database serves. Pure.
//!
//! Synapse numbers the schema of its database. Its code names the number that it is written for (`SCHEMA_VERSION`) and the
//! oldest whose code may still use what it leaves (`SCHEMA_COMPAT_VERSION`); the database has both of what ran last, and
//! code does not start where it is older than the second (Synapse 1.163.2, storage/prepare_database.py).

use crate::state::State;
use serde::Deserialize;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A Synapse that is going to run.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Code {
    /// As in 1.163.2.
    pub release: String,
    /// Its `SCHEMA_VERSION`.
    pub version: u32,
    /// Its `SCHEMA_COMPAT_VERSION`.
    pub compat: u32,
}

/// What a database says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Database {
    /// `schema_version`; none where no Synapse has used it yet.
    pub version: Option<u32>,
    /// `schema_compat_version`.
    pub compat: Option<u32>,
}

/// Synapse would not start with its database.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    code: Code,
    /// The oldest schema whose code may use the database.
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
            "Synapse {release} cannot use the database any more: a newer one has changed it, so that it takes code for \
             schema {compat} or later (schema_compat_version), and {release} is code for schema {version}\n  \
             help: keep the newer Synapse, or restore a backup of the database that was made before it ran"
        )
    }
}

impl Code {
    /// What is to be told of this code with a database: that it is older than what ran, or that there is no way back.
    ///
    /// # Errors
    /// Where it does not start.
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
                "note: the database is of schema {found}, newer than {} of Synapse {release}, which may use it",
                self.version
            ))
        } else if self.compat > found {
            Some(format!(
                "note: Synapse {release} takes the database to schema {}, which code for {found} cannot use: the way back \
                 is a backup",
                self.version
            ))
        } else {
            None
        })
    }
}

/// The places of a state where Synapse is told its database, in the order in which it reads them; the last word counts.
/// The administrator's own options cannot say it, and a server with several databases is not adopted.
const OPTIONS: [&str; 2] = ["synapse/adopted/", "synapse/homeserver.yaml"];

/// The database of a state as Synapse is told it.
pub fn database(state: &State) -> Option<Value> {
    let mut found = None;
    for place in OPTIONS {
        let files = state.files.iter();
        for (_, file) in files.filter(|(path, _)| path.starts_with(place)) {
            // What cannot be read is for Synapse's own parser to refuse.
            let options = serde_yaml::from_slice::<BTreeMap<String, Value>>(&file.contents);
            found = options.unwrap_or_default().remove("database").or(found);
        }
    }
    found
}
