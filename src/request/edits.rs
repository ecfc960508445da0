//! Edits of the settings file by commands: `scale`, `add`, `remove`, `upgrade`, `migrate-database`. Pure.

use crate::plan::SettingsChange;
use crate::settings::types::{Hosts, Version};
use crate::topology::{WorkerSpec, edit};
use std::collections::BTreeMap;

/// The host of a word, and the rest of it; the host is empty for the first.
pub(super) fn of_host(word: &str) -> (&str, &str) {
    let (host, rest) = word.split_once('/').unwrap_or(("", word));
    match host {
        Hosts::FIRST => ("", rest),
        host => (host, rest),
    }
}

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
    /// An entry of `workers`, and the host to move it to: the name of a host, or `first`.
    Move(String, String),
    /// The release of Synapse to install.
    Upgrade(Version),
    /// Migrate the data from SQLite to PostgreSQL.
    MigrateDatabase,
    /// The settings of an earlier generation.
    Restore(Box<Restored>),
}

/// The settings of an earlier generation.
pub struct Restored {
    /// Its number.
    pub number: u32,
    /// Its settings.
    pub text: String,
    /// The names of the hosts that it leaves out.
    pub without: Vec<String>,
    /// The change of the settings file, if it has another text.
    pub change: Option<SettingsChange>,
}

impl SettingsEdit {
    /// The worker specs after this edit.
    ///
    /// # Errors
    /// When the words do not fit the grammar, or the workers that result are not allowed.
    pub fn apply(&self, mut specs: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, String> {
        match self {
            SettingsEdit::None
            | SettingsEdit::Move(..)
            | SettingsEdit::Upgrade(_)
            | SettingsEdit::MigrateDatabase
            | SettingsEdit::Restore(..) => {}
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

    /// This edit for each host that its words name, as in `app2/synchrotron`; the words without a host are for the first,
    /// whose name here is empty.
    pub fn by_host(&self) -> BTreeMap<String, Self> {
        match self {
            SettingsEdit::Scale(words) => by_host(words, SettingsEdit::Scale),
            SettingsEdit::Add(words) => by_host(words, SettingsEdit::Add),
            SettingsEdit::Remove(words) => by_host(words, SettingsEdit::Remove),
            SettingsEdit::None
            | SettingsEdit::Move(..)
            | SettingsEdit::Upgrade(_)
            | SettingsEdit::MigrateDatabase
            | SettingsEdit::Restore(..) => BTreeMap::new(),
        }
    }

    /// A summary of the command, as the manifest of the generation records it. `without` are the hosts that it leaves out.
    pub fn summary(&self, without: &[String]) -> String {
        let without: String = without
            .iter()
            .map(|name| format!(" --without {name}"))
            .collect();
        self.command() + &without
    }

    fn command(&self) -> String {
        match self {
            SettingsEdit::None => "install".to_owned(),
            SettingsEdit::Scale(words) => format!("scale {}", words.join(" ")),
            SettingsEdit::Add(words) => format!("add {}", words.join(" ")),
            SettingsEdit::Move(entry, host) => format!("move {entry} {host}"),
            SettingsEdit::Upgrade(version) => format!("upgrade {version}"),
            SettingsEdit::MigrateDatabase => "migrate-database".to_owned(),
            SettingsEdit::Restore(to) => format!("rollback {}", to.number),
            SettingsEdit::Remove(words) => format!("remove {}", words.join(" ")),
        }
    }
}

/// The edit of the words for each host.
fn by_host(
    words: &[String],
    edit: fn(Vec<String>) -> SettingsEdit,
) -> BTreeMap<String, SettingsEdit> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for word in words {
        let (host, word) = of_host(word);
        let of_host = found.entry(host.to_owned()).or_default();
        of_host.push(word.to_owned());
    }
    let words = found.into_iter();
    words.map(|(host, words)| (host, edit(words))).collect()
}
