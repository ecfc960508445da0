//! The servers that Synapse needs and that no unit of this program runs.

use crate::converge::verify::{self, Expected};
use crate::report::Report;
use serde::Serialize;
use std::time::Instant;

/// One server.
#[derive(Serialize)]
pub(super) struct Server {
    name: &'static str,
    /// `ok`, or the reason why it cannot be used.
    health: String,
}

impl Server {
    /// Asks every server of the generation in use; none if its settings are unknown.
    pub(super) fn ask(expected: Option<&Expected>, end: Instant) -> Vec<Self> {
        let answers = expected.map_or(Vec::new(), |expected| verify::servers(expected, end));
        answers
            .into_iter()
            .map(|(name, answer)| Self {
                name,
                health: answer.map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned()),
            })
            .collect()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.health == "ok"
    }

    /// Prints the server if it does not answer.
    pub(super) fn print(&self, report: &Report) {
        if !self.is_healthy() {
            report.say(format!(
                "{} does not answer: {} (synapse-workers doctor)",
                self.name, self.health
            ));
        }
    }
}
