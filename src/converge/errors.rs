//! The errors of a rollback, of which each part is tried.

use anyhow::Result;
use std::fmt;

/// Why a rollback is incomplete: each part is tried, whatever became of the others.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<anyhow::Error>);

impl Errors {
    /// Notes an error and goes on.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn end(self) -> Result<(), Self> {
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
