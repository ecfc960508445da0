//! Whether a Synapse accepts the schema of its database, tested with its own Python before it runs.

use super::Host;
use super::confined::Sandbox;
use super::tools::{self, Tool};
use crate::failure::Failure;
use crate::plan::schema::{Code, Database};
use crate::state::State;
use crate::state::units;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const SCRIPT: &str = include_str!("schema.py");

/// The output of the script.
#[derive(Deserialize)]
struct Answer {
    code: Code,
    database: Database,
}

impl Host {
    /// Tests whether Synapse accepts the database of `state`. The script runs in Synapse's sandbox of the state
    /// `sandbox`, which is on the host already, with the directories that its units name. Returns a note.
    ///
    /// # Errors
    /// [`Refused`](crate::plan::schema::Refused), or another error when the database does not answer.
    pub fn accepts_schema(&self, state: &State, sandbox: &State) -> Result<Option<String>> {
        let Some(database) = state.database() else {
            return Ok(None);
        };
        let sandbox = Sandbox::like(units::MAIN, sandbox)?;
        let output = Tool::confined(sandbox, &self.facts.python)
            .args(["-I", "-c", SCRIPT])
            .input(serde_json::to_vec(&database)?)
            .output()?;
        ensure!(
            output.status.success(),
            "the schema of the database cannot be read\n{}",
            tools::tail(&output, 4)
        );
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .context("cannot parse the schema numbers that the script printed")?;
        let accepted = answer.code.accepts(&answer.database);
        Ok(accepted.map_err(Failure::preflight)?)
    }
}
