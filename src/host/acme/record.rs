//! The record of the attempts that failed.

use super::super::{files, now};
use crate::state::acme::Order;
use crate::state::paths;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The maximum number of failed attempts within an hour. Let's Encrypt refuses further ones after five ("Rate Limits",
/// "Authorization Failures per Identifier per Account").
pub(super) const MOST_IN_AN_HOUR: usize = 4;
const HOUR: u64 = 3600;

/// The failed attempts for one order since the last success.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Attempts {
    order: Order,
    /// The times of those within the last hour, in seconds since 1970.
    failed: Vec<u64>,
    /// Why the last one failed.
    pub last: Option<Failed>,
}

impl Attempts {
    /// The record for this order; empty if the record is about another one.
    pub(super) fn of(order: &Order) -> Result<Self> {
        let text = files::read(paths::ACME_ATTEMPTS)?;
        let known = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let mut attempts = known
            .filter(|known| known.order == *order)
            .unwrap_or_else(|| Self {
                order: order.clone(),
                ..Self::default()
            });
        let time = now();
        // A time in the future means that the clock was set back.
        attempts.failed.retain(|at| *at <= time && time < at + HOUR);
        Ok(attempts)
    }

    /// The minutes until the next attempt is permitted; `None` if it is now.
    pub(super) fn pause(&self) -> Option<u64> {
        let first = self.failed.len().checked_sub(MOST_IN_AN_HOUR)?;
        let seconds = (self.failed[first] + HOUR).saturating_sub(now());
        Some(seconds.div_ceil(60))
    }

    /// Adds an attempt that failed now.
    pub(super) fn record(mut self, failed: Failed) -> Result<()> {
        self.failed.push(now());
        self.last = Some(failed);
        let text = serde_json::to_string_pretty(&self)?;
        files::replace(paths::ACME_ATTEMPTS, text.as_bytes(), 0o600)
    }
}

/// A failed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The name, the port and the answer of the authority, or why it was not reached.
    pub problem: String,
    /// The remedy.
    pub help: String,
}
