//! The errors of a rollback.

use anyhow::Result;
use std::fmt;

/// The reasons why a rollback is incomplete. A rollback attempts every part, even after others have failed.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<anyhow::Error>);

impl Errors {
    /// Records an error and continues.
    pub fn record<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The error of all; the error itself if there is only one.
    pub fn into_error(mut self) -> anyhow::Error {
        match self.0.len() {
            1 => self.0.remove(0),
            _ => anyhow::anyhow!("{self}"),
        }
    }

    pub fn into_result(self) -> Result<(), Self> {
        match self.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(|error| format!("{error:#}")).collect();
        write!(f, "{}", texts.join("\nand: "))
    }
}
