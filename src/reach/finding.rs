//! The results of the checks, and the verdict.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Unusual, or impossible to check from this host.
    Warn,
    /// A client or another homeserver fails.
    Fail,
    /// Not checked, because an earlier check failed or the settings do not need it.
    Skip,
}

impl Mark {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Warn => "warn",
            Mark::Fail => "FAIL",
            Mark::Skip => "-",
        }
    }
}

/// A fault and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The problem, with its place.
    pub problem: String,
    /// The remedy.
    #[serde(rename = "cure")]
    pub help: String,
}

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The name of the step.
    pub step: &'static str,
    /// The result.
    pub result: Mark,
    /// The observation.
    pub text: String,
    /// The remedy.
    #[serde(rename = "cure", skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// The result of all checks together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The time of the checks, in seconds since 1970.
    pub time: u64,
    /// Whether none of them failed.
    pub ok: bool,
    /// The first fault.
    pub failed: Option<Fault>,
    /// The number of faults.
    pub faults: usize,
}

impl Verdict {
    /// The verdict of these findings.
    pub fn of(findings: &[Finding], time: u64) -> Self {
        let faults = findings
            .iter()
            .filter(|finding| finding.result == Mark::Fail);
        let failed = faults.clone().next().map(|finding| Fault {
            problem: format!("{}: {}", finding.step, finding.text),
            help: finding.help.clone().unwrap_or_default(),
        });
        Self {
            time,
            ok: failed.is_none(),
            failed,
            faults: faults.count(),
        }
    }
}

/// As in the sentence "reachability: …".
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(failed) = &self.failed else {
            return f.write_str("other homeservers and clients reach this server");
        };
        f.write_str(&failed.problem)?;
        match self.faults.saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, " (and {more} more: synapse-workers reach)"),
        }
    }
}
