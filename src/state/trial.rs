//! A change on trial: in use, and given back unless somebody confirms it.

use serde::{Deserialize, Serialize};

/// What is noted of it on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The generation on trial.
    pub generation: u32,
    /// The one to return to.
    pub back: u32,
    /// How long it may take to confirm, from the end of the change or a reboot on.
    pub seconds: u64,
    /// Whether its change was made to the end; one that was cut can only be returned from.
    pub made: bool,
    /// The settings file that is put back with it.
    pub settings: String,
}

impl Trial {
    /// What is on trial and for how long, as a sentence without an end; `left` is what the timer has left.
    pub fn told(&self, left: Option<u64>) -> String {
        let Self {
            generation, back, ..
        } = self;
        match left {
            Some(seconds) => format!(
                "generation {generation} is on trial: the host returns to generation {back} in {seconds} s"
            ),
            None => format!(
                "generation {generation} was on trial, its time is over, and the host has not returned to generation {back} yet"
            ),
        }
    }
}
