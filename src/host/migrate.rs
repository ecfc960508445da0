//! SQLite to PostgreSQL, by a script that Synapse's own Python runs.

use super::tools::{self, Tool};
use super::{Host, files};
use crate::paths;
use crate::plan::step::Move;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;

const SCRIPT: &str = include_str!("migrate.py");

/// The file in which the script notes which database it fills.
const BEGUN: &str = "begun";

/// What the script tells in the end.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    /// Tables that were copied anew, since rows in them had changed.
    again: Vec<String>,
    tables: u64,
    rows: u64,
}

impl Host {
    /// Does one part of the move of an SQLite file into the database of a generation; a line about it.
    ///
    /// # Errors
    /// With the end of what synapse_port_db says, or the tables whose rows differ.
    pub fn migrate(&self, number: u32, file: &str, part: Move) -> Result<String> {
        let output = Tool::new(&self.facts.python)
            .args(["-c", SCRIPT, part.word()])
            .args([
                &format!("{}/{number}/synapse", paths::GENERATIONS),
                &paths::secret("synapse.d"),
                file,
                paths::MIGRATION,
            ])
            .directory(paths::DATA)
            .process_of(&self.facts.user)?
            .output()?;
        ensure!(
            output.status.success(),
            "{file} was not moved\n{}",
            tools::tail(&output, 12)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let told: Told = serde_json::from_str(line).context("reading what was moved")?;
        Ok(match part {
            Move::First => String::new(),
            Move::Last if told.again.is_empty() => String::new(),
            Move::Last => format!(
                "copied anew, since rows had changed: {}",
                told.again.join(", ")
            ),
            Move::Compare => format!(
                "{} tables, {} rows, the same in both",
                told.tables, told.rows
            ),
        })
    }

    /// Removes the copies that a move took.
    pub fn forget_migration(&self) -> Result<()> {
        files::remove_tree(paths::MIGRATION)
    }

    /// Removes the copies of a move that failed. What tells which database it has begun to fill stays for the next one,
    /// which empties that.
    pub fn leave_migration(&self) -> Result<()> {
        let copies = files::names(paths::MIGRATION).into_iter();
        for copy in copies.filter(|name| name != BEGUN) {
            files::remove(format!("{}/{copy}", paths::MIGRATION))?;
        }
        files::remove_empty(paths::MIGRATION)
    }
}
