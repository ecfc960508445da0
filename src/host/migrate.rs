//! Migration from SQLite to PostgreSQL, by a script that Synapse's own Python runs.

use super::Host;
use super::confined::Sandbox;
use super::files::{self, Access};
use super::tools::{self, Tool};
use crate::plan::step::Move;
use crate::state::State;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::time::Duration;

const SCRIPT: &str = include_str!("migrate.py");

/// Timeout of the migration. Large databases take hours to copy.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);

/// The result that the script prints last.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Moved {
    /// Tables that were copied again because their rows had changed.
    again: Vec<String>,
    tables: u64,
    rows: u64,
}

/// The directory for copies. Synapse's account writes only here; root creates and removes it as a whole, and reads
/// nothing in it.
fn copies() -> String {
    format!("{}/copies", paths::MIGRATION)
}

/// The file in which the script records the database that it fills. It remains when a migration fails, and the next one
/// empties that database.
fn target_record() -> String {
    format!("{}/begun", paths::MIGRATION)
}

/// The marker file. Root creates it before the first row is copied, and removes it when the migration is complete or
/// rolled back.
fn mark() -> String {
    format!("{}/unfinished", paths::MIGRATION)
}

/// Whether a migration was neither completed nor rolled back.
pub(super) fn is_unfinished() -> bool {
    files::exists(mark())
}

impl Host {
    /// Runs one part of the migration of an SQLite file into the database of a generation. Returns a line about the
    /// result.
    ///
    /// # Errors
    /// With the end of synapse_port_db's output, or the tables whose rows differ.
    pub fn migrate(&self, number: u32, file: &str, part: Move, state: &State) -> Result<String> {
        if part == Move::First {
            self.prepare_migration()?;
        }
        let sandbox = Sandbox::like(units::MAIN, state)?.property(&format!(
            "ReadWritePaths={} {}",
            copies(),
            target_record()
        ));
        let configuration = format!("{}/{number}/synapse", paths::GENERATIONS);
        let output = Tool::confined(sandbox, &self.facts.python)
            .args(["-I", "-c", SCRIPT])
            .args([
                part.word(),
                file,
                &copies(),
                &target_record(),
                paths::OLD_MIGRATION,
            ])
            .args(synapse_config::of_server(&configuration))
            .within(LIMIT)
            .interruptible()
            .followed()
            .output()?;
        ensure!(
            output.status.success(),
            "the migration of {file} failed\n{}",
            tools::tail(&output, 12)
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let moved: Moved =
            serde_json::from_str(line).context("cannot parse the result of the migration")?;
        Ok(match part {
            Move::First => String::new(),
            Move::Last if moved.again.is_empty() => String::new(),
            Move::Last => format!(
                "copied again because rows had changed: {}",
                moved.again.join(", ")
            ),
            Move::Compare => format!(
                "{} tables, {} rows, the same in both",
                moved.tables, moved.rows
            ),
        })
    }

    fn prepare_migration(&self) -> Result<()> {
        let user = &self.facts.user;
        files::directory(paths::MIGRATION, 0o755)?;
        files::remove_tree(copies())?;
        files::directory(copies(), Access::of(user, paths::GROUP, 0o700)?)?;
        if !files::exists(target_record()) {
            files::replace(target_record(), b"", Access::of(user, paths::GROUP, 0o600)?)?;
        }
        files::replace(mark(), b"", 0o644)
    }

    /// Removes all files of a complete migration.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn forget_migration(&self) -> Result<()> {
        files::remove_tree(paths::MIGRATION)
    }

    /// Removes the copies of a migration that was rolled back. The record of the database that it began to fill remains
    /// for the next migration.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn discard_migration(&self) -> Result<()> {
        files::remove_tree(copies())?;
        let recorded = files::metadata(target_record()).is_some_and(|file| file.len() > 0);
        if !recorded {
            return self.forget_migration();
        }
        files::remove(mark())
    }
}
