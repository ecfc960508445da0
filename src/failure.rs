//! The failure of a command: an error with the kind that decides the exit status, the place, the cause and the help.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::process::ExitCode;

/// The exit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// The command failed; the host is as before.
    Failed = 1,
    /// `plan --detailed-exitcode`: there are changes to apply. `upgrade --check`: there is a newer release.
    Pending = 2,
    /// The usage or the settings are wrong; nothing was changed.
    Usage = 64,
    /// A preflight check failed; nothing was changed.
    Preflight = 65,
    /// The host is neither as before nor as desired; the message names the command to run.
    Incomplete = 70,
    /// The change was applied, failed verification and was rolled back.
    RolledBack = 75,
}

/// Every exit status with its meaning, for the help and docs/command-line.md.
#[rustfmt::skip] // one status per line
pub static STATUSES: &[(u8, &str)] = &[
    (0, "Done."),
    (Code::Failed as u8,     "The command failed, and the host is as it was before."),
    (Code::Pending as u8,    "There are changes (`plan --detailed-exitcode`), or there is a newer release (`upgrade --check`)."),
    (Code::Usage as u8,      "The command line or a setting is wrong. Nothing was changed."),
    (Code::Preflight as u8,  "A preflight check refused the host. Nothing was changed."),
    (Code::Incomplete as u8, "The change is incomplete. The message names the command that completes it."),
    (Code::RolledBack as u8, "The change was applied, its verification failed, and the host was rolled back."),
];

/// The exit statuses as the help prints them.
pub fn status_help() -> String {
    let lines = STATUSES
        .iter()
        .map(|(status, meaning)| format!("\n  {status:<4}{}", meaning.replace('`', "")));
    format!("Exit status:{}", lines.collect::<String>())
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// An error that ends the program. It may be wrapped in an [`anyhow::Error`], whose context becomes its place.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The kind, which is the exit status.
    pub code: Code,
    /// The place of the problem: a file, a setting, a step.
    place: Option<String>,
    /// The problem, with its causes.
    problem: String,
    /// The remedy.
    help: Option<String>,
    /// The state in which the host was left, if it is not the one that the kind implies.
    left: Option<String>,
}

impl std::error::Error for Failure {}

impl Failure {
    /// A failure without place, help and state of the host. Its kind implies the state of the host.
    pub fn new(code: Code, problem: impl fmt::Display) -> Self {
        Self {
            code,
            place: None,
            problem: problem.to_string(),
            help: None,
            left: None,
        }
    }

    /// An error in the usage or the settings.
    pub fn usage(problem: impl fmt::Display) -> Self {
        Self::new(Code::Usage, problem)
    }

    /// A failed preflight check.
    pub fn preflight(problem: impl fmt::Display) -> Self {
        Self::new(Code::Preflight, problem)
    }

    /// A failure after which nothing is changed, or the host is as before.
    pub fn failed(problem: impl fmt::Display) -> Self {
        Self::new(Code::Failed, problem)
    }

    /// Adds the help: a command if there is one.
    pub fn help(mut self, help: impl fmt::Display) -> Self {
        self.help = Some(help.to_string());
        self
    }

    /// The problem, with its place.
    pub fn problem(&self) -> String {
        match &self.place {
            Some(place) => format!("{place}: {}", self.problem),
            None => self.problem.clone(),
        }
    }

    /// The help, if there is any.
    pub fn cure(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Adds, as the last line, the state in which the host was left.
    pub fn left(mut self, left: impl fmt::Display) -> Self {
        self.left = Some(left.to_string());
        self
    }

    /// The same error with another exit status.
    pub fn ending(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

/// Prints the problem after its place, the help, and the state of the host, each on a line of its own.
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

/// An error without a kind of its own becomes [`Code::Failed`].
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
