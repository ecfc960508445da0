//! A change of the settings file, which is a step of the plan like any other.

use std::path::PathBuf;

/// A settings file before and after the change.
#[derive(Clone, Debug)]
pub struct SettingsChange {
    /// The path of the settings file (`--settings`).
    pub path: PathBuf,
    /// The text that a rollback writes back; `None` if the file does not exist.
    pub before: Option<String>,
    /// `None` removes the file.
    pub after: Option<String>,
    /// The changed keys, or a description of a larger change, as the step prints it.
    pub what: String,
    /// The path at which the text before the change is saved, if no generation contains it.
    pub copy: Option<PathBuf>,
}
