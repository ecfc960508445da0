//! The schema of Synapse's database: its numbers, and whether a Synapse accepts them, tested with its own Python before
//! it runs.

use super::Host;
use super::confined::Sandbox;
use super::tools::{self, Tool};
use crate::failure::Failure;
use crate::plan::schema::{Code, Database};
use crate::state::State;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const SCRIPT: &str = include_str!("schema.py");

/// The schema numbers of a Synapse and of its database, as the script prints them.
#[derive(Clone, Debug, Deserialize)]
pub struct Schema {
    /// Those of the Synapse of this host.
    pub code: Code,
    /// Those of the database.
    pub database: Database,
}

impl Host {
    /// Tests whether Synapse accepts the database of `state`. Returns a note. `sandbox` is as for [`Host::schema`].
    ///
    /// # Errors
    /// [`Refused`](crate::plan::schema::Refused), or another error when the database does not answer.
    pub fn accepts_schema(&self, state: &State, sandbox: &State) -> Result<Option<String>> {
        let Some(found) = self.schema(state, sandbox)? else {
            return Ok(None);
        };
        let accepted = found.code.accepts(&found.database);
        Ok(accepted.map_err(Failure::preflight)?)
    }

    /// Reads the schema numbers of Synapse and of the database of `state`; `None` if the state has no database. The script
    /// runs in Synapse's sandbox of the state `sandbox`, which is on the host already, with the directories that its units
    /// name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub fn schema(&self, state: &State, sandbox: &State) -> Result<Option<Schema>> {
        let Some(database) = state.database() else {
            return Ok(None);
        };
        let sandbox = Sandbox::of_synapse(sandbox)?;
        let output = Tool::confined(sandbox, &self.facts.python)
            .args(["-I", "-c", SCRIPT])
            .input(serde_json::to_vec(&database)?)
            .output()?;
        ensure!(
            output.status.success(),
            "the schema of the database cannot be read\n{}",
            tools::tail(&output, 4)
        );
        serde_json::from_slice(&output.stdout)
            .context("cannot parse the schema numbers that the script printed")
    }
}
