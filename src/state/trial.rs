//! A trial: a change that is in use and is rolled back unless it is confirmed.

use serde::{Deserialize, Serialize};

/// The record of a trial on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The generation on trial.
    pub generation: u32,
    /// The generation to return to.
    pub back: u32,
    /// The time to confirm, in seconds from the end of the change or from a reboot.
    pub seconds: u64,
    /// Whether the change was applied completely; an interrupted change can only be rolled back.
    #[serde(rename = "made")]
    pub applied: bool,
    /// The path of the settings file that a rollback restores.
    pub settings: String,
}

impl Trial {
    /// Describes the trial, without a final period; `left` is the time left on the timer, in seconds, and `None` if it has
    /// expired.
    pub fn description(&self, left: Option<u64>) -> String {
        let Self {
            generation, back, ..
        } = self;
        match left {
            Some(seconds) => format!(
                "generation {generation} is on trial: the host returns to generation {back} in {seconds} s"
            ),
            None => format!(
                "the trial of generation {generation} has expired, and the host has not returned to generation {back} yet"
            ),
        }
    }
}
