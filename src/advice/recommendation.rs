//! A recommendation: a change, its evidence and its effect.

use crate::state::paths;
use serde::Serialize;

/// A recommended change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// The name of its rule.
    pub rule: &'static str,
    /// The problem, in one line.
    pub problem: String,
    /// The figures that show it.
    pub evidence: Vec<String>,
    /// The change.
    pub change: Change,
    /// The expected effect, with a number.
    pub effect: String,
    /// The number by which the load that the server can carry grows at most, such as 1.5; 1 if only something else
    /// improves. Recommendations are sorted by it.
    pub gain: f64,
}

/// How the administrator makes the change.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Run a command.
    Command(String),
    /// Edit the settings file, then run `install`.
    Setting {
        /// The section and the key, as in `database.cp_max`.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// A change outside this program.
    Outside(String),
}

impl Change {
    /// The lines that say what to do.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Command(command) => vec![format!("run: {command}")],
            Self::Setting { key, value } => {
                let (section, name) = key.split_once('.').unwrap_or(("", key));
                vec![
                    format!("in {}, set", paths::SETTINGS),
                    format!("    {section}:"),
                    format!("      {name}: {value}"),
                    "then run: synapse-workers install".to_owned(),
                ]
            }
            Self::Outside(text) => vec![text.clone()],
        }
    }
}
