//! How a command ends: the exit codes of the contract, with an error that names place and cure.

use std::process::ExitCode;

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Failed; the host is as before.
    Failed = 1,
    /// `plan --detailed-exitcode`: there is something to do.
    Pending = 2,
    /// Usage or settings are wrong; nothing was touched.
    Usage = 64,
    /// The host does not fulfil what is needed; nothing was touched.
    Preflight = 65,
    /// Applied, failed verification, rolled back.
    RolledBack = 75,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// An error with the code that it ends the program with.
#[derive(Debug)]
pub struct Failure {
    pub code: Code,
    pub error: anyhow::Error,
}

impl Failure {
    pub fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self {
            code,
            error: error.into(),
        }
    }

    /// Usage or settings are wrong.
    pub fn usage(error: impl std::fmt::Display) -> Self {
        Self::new(Code::Usage, anyhow::anyhow!("{error}"))
    }

    /// The host does not fulfil what is needed.
    pub fn preflight(error: impl std::fmt::Display) -> Self {
        Self::new(Code::Preflight, anyhow::anyhow!("{error}"))
    }
}

/// Whatever fails without saying more has failed.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Failed, error)
    }
}
