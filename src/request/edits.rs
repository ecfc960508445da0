//! Edits of the settings file by commands: `scale`, `add`, `remove`, `upgrade`, `migrate-database`. Pure.

use crate::settings::types::Version;
use crate::topology::{WorkerSpec, edit};

/// An edit of the settings file.
pub enum SettingsEdit {
    /// No edit by the command; values from flags, environment and env-file are written to the file in any case.
    None,
    /// Counts of workers by role, as in `ROLE=N`.
    Scale(Vec<String>),
    /// Worker specs to add.
    Add(Vec<String>),
    /// Names of workers to remove.
    Remove(Vec<String>),
    /// The release of Synapse to install.
    Upgrade(Version),
    /// Migrate the data from SQLite to PostgreSQL.
    MigrateDatabase,
}

impl SettingsEdit {
    /// The worker specs after this edit.
    ///
    /// # Errors
    /// When the words do not fit the grammar, or the workers that result are not allowed.
    pub fn apply(&self, mut specs: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, String> {
        match self {
            SettingsEdit::None | SettingsEdit::Upgrade(_) | SettingsEdit::MigrateDatabase => {}
            SettingsEdit::Scale(counts) => {
                for word in counts {
                    let (name, count) = word.split_once('=').ok_or_else(|| {
                        format!("`{word}`: expected ROLE=N, such as synchrotron=3")
                    })?;
                    let count = count
                        .parse()
                        .map_err(|_| format!("`{word}`: `{count}` is not a count"))?;
                    specs = edit::scale(&specs, name, count).map_err(|error| error.to_string())?;
                }
            }
            SettingsEdit::Add(new) => {
                for spec in new {
                    specs = edit::add(&specs, spec).map_err(|error| error.to_string())?;
                }
            }
            SettingsEdit::Remove(names) => {
                for name in names {
                    specs = edit::remove(&specs, name).map_err(|error| error.to_string())?;
                }
            }
        }
        Ok(specs)
    }

    /// A summary of the command, as the manifest of the generation records it.
    pub fn summary(&self) -> String {
        match self {
            SettingsEdit::None => "install".to_owned(),
            SettingsEdit::Scale(words) => format!("scale {}", words.join(" ")),
            SettingsEdit::Add(words) => format!("add {}", words.join(" ")),
            SettingsEdit::Upgrade(version) => format!("upgrade {version}"),
            SettingsEdit::MigrateDatabase => "migrate-database".to_owned(),
            SettingsEdit::Remove(words) => format!("remove {}", words.join(" ")),
        }
    }
}
