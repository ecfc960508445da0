//! The origin of a value, and errors that name it.

use std::fmt;
use std::path::{Path, PathBuf};

/// The origin of a value. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File {
        path: PathBuf,
        line: usize,
    },
    EnvFile {
        path: PathBuf,
        line: usize,
        name: &'static str,
    },
    Environment {
        name: &'static str,
    },
    /// `name` is the flag as typed, such as `--workers`.
    Flag {
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
