//! Whether the Synapse that is going to run accepts its database, asked with its own Python.

use super::Host;
use super::tools::{self, Tool};
use crate::paths;
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
    /// Has the database of this state judged; what is to be told of it.
    ///
    /// # Errors
    /// [`Refused`](schema::Refused), or another where the database does not answer.
    pub fn accepts_schema(&self, state: &State) -> Result<Option<String>> {
        let Some(database) = schema::database(state) else {
            return Ok(None);
        };
        let output = Tool::new(&self.facts.python)
            .args(["-c", SCRIPT])
            .input(serde_json::to_vec(&database)?)
            .directory(paths::DATA)
            .process_of(&self.facts.user)?
            .output()?;
        ensure!(
            output.status.success(),
            "the schema of the database cannot be read\n{}",
            tools::tail(&output, 4)
        );
        let told: Told = serde_json::from_slice(&output.stdout)
            .context("reading what was told of the schema")?;
        Ok(told.code.accepts(&told.database)?)
    }
}
