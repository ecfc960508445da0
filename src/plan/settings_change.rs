//! A change of the settings file, which is a step like the others.

use std::path::PathBuf;

/// A settings file before and after.
#[derive(Clone, Debug)]
pub struct SettingsChange {
    pub path: PathBuf,
    pub before: Option<String>,
    /// `None` removes it.
    pub after: Option<String>,
    /// The keys, or words for more than keys.
    pub what: String,
}
