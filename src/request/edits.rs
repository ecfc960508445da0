//! Changes of the settings file that commands ask for: `scale`, `add`, `remove`, `migrate-database`. Pure.

use crate::topology::{WorkerSpec, edit};

/// A change of the settings file.
pub enum SettingsEdit {
    None,
    /// `ROLE=N` …
    Scale(Vec<String>),
    /// Specs.
    Add(Vec<String>),
    /// Names.
    Remove(Vec<String>),
    /// The data moves from SQLite to PostgreSQL.
    MigrateDatabase,
}

impl SettingsEdit {
    /// The specs after the change.
    pub fn apply(&self, mut specs: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, String> {
        match self {
            SettingsEdit::None | SettingsEdit::MigrateDatabase => {}
            SettingsEdit::Scale(counts) => {
                for word in counts {
                    let (name, count) = word
                        .split_once('=')
                        .ok_or_else(|| format!("`{word}`: say ROLE=N, as in synchrotron=3"))?;
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

    /// What asked for it, in the words of the command line.
    pub fn summary(&self) -> String {
        match self {
            SettingsEdit::None => "install".to_owned(),
            SettingsEdit::Scale(words) => format!("scale {}", words.join(" ")),
            SettingsEdit::Add(words) => format!("add {}", words.join(" ")),
            SettingsEdit::MigrateDatabase => "migrate-database".to_owned(),
            SettingsEdit::Remove(words) => format!("remove {}", words.join(" ")),
        }
    }
}
