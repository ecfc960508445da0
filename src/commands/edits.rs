//! Changes of the settings file that commands ask for: `scale`, `add`, `remove`, `migrate-database`. Pure.

use crate::topology::{WorkerSpec, edit};

/// A change of the settings file.
pub enum Change {
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

impl Change {
    /// The specs after the change.
    pub fn apply(&self, mut specs: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, String> {
        match self {
            Change::None | Change::MigrateDatabase => {}
            Change::Scale(counts) => {
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
            Change::Add(new) => {
                for spec in new {
                    specs = edit::add(&specs, spec).map_err(|error| error.to_string())?;
                }
            }
            Change::Remove(names) => {
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
            Change::None => "install".to_owned(),
            Change::Scale(words) => format!("scale {}", words.join(" ")),
            Change::Add(words) => format!("add {}", words.join(" ")),
            Change::MigrateDatabase => "migrate-database".to_owned(),
            Change::Remove(words) => format!("remove {}", words.join(" ")),
        }
    }
}
