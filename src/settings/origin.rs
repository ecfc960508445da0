//! The origin of a value, and errors that name it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The origin of a value. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default in the table of settings.
    Default,
    /// The settings file.
    File {
        /// The path as it was given, for messages.
        path: PathBuf,
        /// The line of the value, or of the item at fault in a list.
        line: usize,
    },
    /// An env-file in the format of Docker.
    EnvFile {
        /// The path as it was given, for messages.
        path: PathBuf,
        /// The line of the assignment.
        line: usize,
        /// The name of the variable.
        name: &'static str,
    },
    /// The environment of this process.
    Environment {
        /// The name of the variable; a setting may have several.
        name: &'static str,
    },
    /// The command line.
    Flag {
        /// The flag as typed, such as `--workers`.
        name: &'static str,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the default"),
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::EnvFile { path, line, name } => {
                write!(f, "{} line {line}, {name}", path.display())
            }
            Self::Environment { name } => write!(f, "environment variable {name}"),
            Self::Flag { name } => f.write_str(name),
        }
    }
}

/// The reason why settings cannot be used: the problem with its place and, if there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    problem: String,
    help: Option<String>,
}

impl SettingsError {
    /// A problem without a place and without a remedy so far.
    pub fn new(problem: impl Into<String>) -> Self {
        Self {
            problem: problem.into(),
            help: None,
        }
    }

    /// An error at `place`, which is an [`Origin`] or a path.
    pub fn at(place: impl fmt::Display, problem: impl Into<String>) -> Self {
        Self::new(problem).within(place)
    }

    /// An error at a line of a file.
    pub fn at_line(path: &Path, line: usize, problem: impl Into<String>) -> Self {
        Self::new(problem).within_line(path, line)
    }

    /// Adds the remedy: a command, or the change of the settings.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the place of the problem.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.problem = format!("{place}: {}", self.problem);
        self
    }

    /// Adds the line of the problem.
    pub fn within_line(self, path: &Path, line: usize) -> Self {
        self.within(format_args!("{} line {line}", path.display()))
    }
}

/// Prints the problem, and the remedy on a line of its own.
impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SettingsError {}
