//! A preflight check, and its finding.

use crate::deployment::secrets::Conditions;
use crate::host::facts::{Facts, Scope};

/// What was found out, and what is asked of it.
pub struct Examined<'a> {
    pub facts: &'a Facts,
    pub scope: &'a Scope<'a>,
    /// Main and workers.
    pub processes: usize,
}

impl Examined<'_> {
    pub(super) fn conditions(&self) -> Conditions<'_> {
        Conditions {
            settings: self.scope.settings,
            workers: self.scope.workers,
            database: self.scope.database,
        }
    }
}

/// What is wrong, and the command or setting that cures it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub problem: String,
    pub cure: String,
}

pub(super) fn finding(problem: impl Into<String>, cure: impl Into<String>) -> Option<Finding> {
    Some(Finding {
        problem: problem.into(),
        cure: cure.into(),
    })
}

/// One check.
pub struct Check {
    /// What is all right when nothing is found.
    pub name: &'static str,
    /// Whether an installation is refused.
    pub fatal: bool,
    pub(super) check: fn(&Examined) -> Option<Finding>,
}
