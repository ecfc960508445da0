//! A preflight check and its finding.

use crate::host::facts::{Facts, Scope};

/// The facts of a host, and what the request needs from it.
pub struct Examined<'a> {
    pub facts: &'a Facts,
    pub scope: &'a Scope<'a>,
    /// The number of Synapse processes: main and workers.
    pub processes: usize,
}

/// A violated check: the problem, and the command or setting that fixes it.
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

pub(super) fn finding_if(
    condition: bool,
    problem: impl Into<String>,
    cure: impl Into<String>,
) -> Option<Finding> {
    if condition {
        finding(problem, cure)
    } else {
        None
    }
}

/// A preflight check.
pub struct Check {
    /// The condition that holds when there is no finding.
    pub name: &'static str,
    /// Whether a finding prevents an installation.
    pub fatal: bool,
    pub(super) check: fn(&Examined) -> Option<Finding>,
}
