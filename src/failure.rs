//! How a command ends: one error with the kind that decides the exit code, the place, the cause, and what helps.

use std::fmt;
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
    /// The host is neither as before nor as desired; the message names the command to run.
    Incomplete = 70,
    /// Applied, failed verification, rolled back.
    RolledBack = 75,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// An error that ends the program. It may travel inside an [`anyhow::Error`]; what is added on the way is its place.
#[derive(Clone, Debug)]
pub struct Failure {
    pub code: Code,
    /// Where it happened: a file, a setting, a step.
    place: Option<String>,
    /// What is wrong, with its causes.
    problem: String,
    /// What to do about it.
    help: Option<String>,
    /// How it left the host, where that is not as the kind says.
    left: Option<String>,
}

impl std::error::Error for Failure {}

impl Failure {
    pub fn new(code: Code, problem: impl fmt::Display) -> Self {
        Self {
            code,
            place: None,
            problem: problem.to_string(),
            help: None,
            left: None,
        }
    }

    /// Usage or settings are wrong.
    pub fn usage(problem: impl fmt::Display) -> Self {
        Self::new(Code::Usage, problem)
    }

    /// The host does not fulfil what is needed.
    pub fn preflight(problem: impl fmt::Display) -> Self {
        Self::new(Code::Preflight, problem)
    }

    /// Nothing was changed, or the host is as it was before.
    pub fn failed(problem: impl fmt::Display) -> Self {
        Self::new(Code::Failed, problem)
    }

    /// What helps: a command where there is one.
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// What is wrong, with its place.
    pub fn problem(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.problem),
            None => self.problem.clone(),
        }
    }

    /// What helps against it in particular.
    pub fn cure(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// How the host was left, as the last line.
    pub fn left(mut self, left: impl fmt::Display) -> Self {
        self.left = Some(left.to_string());
        self
    }

    /// The same error, which ends the program in another way.
    pub fn ending(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

/// The problem behind its place, the help, and how the host was left, each on a line of its own.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problem())?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        match &self.left {
            Some(left) => write!(f, "\n{left}"),
            None => Ok(()),
        }
    }
}

/// An error without a kind of its own has failed.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let around = error.chain().take_while(|error| !error.is::<Failure>());
        let around: Vec<String> = around.map(ToString::to_string).collect();
        match error.downcast::<Failure>() {
            Err(error) => Self::failed(format!("{error:#}")),
            Ok(failure) if around.is_empty() => failure,
            Ok(failure) => {
                let places = around.into_iter().chain(failure.place);
                Self {
                    place: Some(places.collect::<Vec<_>>().join(": ")),
                    ..failure
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn an_error_keeps_its_kind_and_its_help_on_the_way_up() {
        let inner = Failure::preflight("no room").help("remove something");
        let outer: anyhow::Result<()> = Err(anyhow::Error::from(inner));
        let outer = outer.context("writing x").context("step 3");
        let failure = Failure::from(outer.unwrap_err());
        assert_eq!(failure.code, Code::Preflight);
        assert_eq!(
            failure.to_string(),
            "step 3: writing x: no room\n  help: remove something"
        );
        let plain = Failure::from(anyhow::anyhow!("inner").context("outer"));
        assert_eq!(
            (plain.code, plain.to_string()),
            (Code::Failed, "outer: inner".to_owned())
        );
    }
}
