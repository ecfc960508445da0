//! The administrator's own locations of nginx (`nginx.include`): they are read as nginx reads them, and refused if they
//! contain a path of Matrix or what nginx's unit cannot use.

mod check;
mod paths_of_matrix;
mod reach;
mod syntax;

pub use check::{LocationFile, NAMED};
pub use reach::Reach;

/// A refused line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The number of the line, from 1.
    pub line: usize,
    /// The problem, and after `help:` the remedy if there is one.
    pub text: String,
}

impl Problem {
    fn new(line: usize, text: impl Into<String>) -> Self {
        Self {
            line,
            text: text.into(),
        }
    }

    fn help(mut self, help: impl std::fmt::Display) -> Self {
        self.text = format!("{}\n  help: {help}", self.text);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for Problem {}
