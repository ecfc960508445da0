//! Whether the Synapse that is going to run accepts its database, asked with its own Python.

use super::Host;
use super::confined::Sandbox;
use super::tools::{self, Tool};
use crate::failure::Failure;
use crate::plan::names;
use crate::plan::schema::{self, Code, Database};
use crate::plan::state::State;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const SCRIPT: &str = include_str!("schema.py");

/// What the script tells.
#[derive(Deserialize)]
struct Told {
    code: Code,
    database: Database,
}

impl Host {
    /// Has the database of this state judged, in the sandbox that another state has for Synapse: that other one is on the
    /// host already, with the directories that its units name. Returns a note of it.
    ///
    /// # Errors
    /// [`Refused`](schema::Refused), or another where the database does not answer.
    pub fn accepts_schema(&self, state: &State, sandbox: &State) -> Result<Option<String>> {
        let Some(database) = schema::database(state) else {
            return Ok(None);
        };
        let sandbox = Sandbox::like(names::MAIN, sandbox)?;
        let output = Tool::confined(sandbox, &self.facts.python)
            .args(["-I", "-c", SCRIPT])
            .input(serde_json::to_vec(&database)?)
            .output()?;
        ensure!(
            output.status.success(),
            "the schema of the database cannot be read\n{}",
            tools::tail(&output, 4)
        );
        let told: Told = serde_json::from_slice(&output.stdout)
            .context("reading what was told of the schema")?;
        let judged = told.code.accepts(&told.database);
        Ok(judged.map_err(Failure::preflight)?)
    }
}
