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

/// The reason why settings cannot be used: one sentence with the place and, if there is one, the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(String);

impl SettingsError {
    /// An error whose message contains its place, or has none.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// An error at `place`, which is an [`Origin`] or a path.
    pub fn at(place: impl fmt::Display, message: impl fmt::Display) -> Self {
        Self(format!("{place}: {message}"))
    }

    /// An error at a line of a file.
    pub fn at_line(path: &Path, line: usize, message: impl fmt::Display) -> Self {
        Self(format!("{} line {line}: {message}", path.display()))
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}
