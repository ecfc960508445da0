//! How processes of Synapse start, and why.

use super::super::{Input, sockets};
use crate::settings::types::WarmMode;
use crate::state::HostFacts;
use serde::Serialize;
use std::fmt;

/// The smallest number of processes for which [`WarmMode::Auto`] means a fork server: the server itself takes as much
/// memory as two of them save.
const ENOUGH: usize = 4;

/// Major and minor version.
type Version = (u32, u32);

/// The versions of a program with which the tests have seen something work.
pub struct Covered {
    name: &'static str,
    /// The first and the last version.
    versions: (Version, Version),
    of: fn(&HostFacts) -> Option<Version>,
}

/// The programs on which a warm start depends. Source: the booted case `warm` on Debian 12 (CPython 3.11, systemd 252)
/// and on Debian 13 (3.13, 257), and `tests/launcher` on Ubuntu 24.04 (3.12).
pub static COVERED: &[Covered] = &[
    Covered {
        name: "CPython",
        versions: ((3, 11), (3, 13)),
        of: |facts| facts.python,
    },
    Covered {
        name: "systemd",
        versions: ((252, 0), (257, 0)),
        of: |facts| facts.systemd.map(|number| (number, 0)),
    },
];

/// The interpreters that can have immortal objects: those of `VERSIONS` in `packaging/launcher/warm_immortal.py`, which
/// has the last word.
pub static IMMORTAL: Covered = Covered {
    name: "CPython",
    versions: ((3, 12), (3, 13)),
    of: |facts| facts.python,
};

impl Covered {
    /// Why the tests do not cover a host; `None` if they do.
    fn problem(&self, facts: &HostFacts) -> Option<String> {
        let (first, last) = self.versions;
        let name = self.name;
        let covered = format!("tests cover {} to {}", shown(first), shown(last));
        match (self.of)(facts) {
            Some(version) if (first..=last).contains(&version) => None,
            Some(version) => Some(format!("{name} is {}, and the {covered}", shown(version))),
            None => Some(format!("the version of {name} is unknown; the {covered}")),
        }
    }

    /// The first and the last version.
    pub fn versions(&self) -> (Version, Version) {
        self.versions
    }
}

fn shown((major, minor): Version) -> String {
    match minor {
        0 => major.to_string(),
        minor => format!("{major}.{minor}"),
    }
}

/// How processes start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each imports Synapse itself.
    Off,
    /// They are forked from a process that has imported Synapse.
    Fork,
    /// The same, and its objects are immortal.
    Immortal,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Fork => "fork",
            Self::Immortal => "immortal",
        })
    }
}

/// How the processes of a deployment start, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The mode of `warm.mode`, or the one that follows from `auto` and from the host.
    pub mode: Mode,
    /// The reason, as it is printed after the mode.
    pub reason: String,
    /// Whether the settings leave the choice to this program.
    #[serde(skip)]
    pub is_automatic: bool,
}

impl Decision {
    /// The decision for a deployment on a host.
    pub fn of(input: &Input) -> Self {
        let set = input.settings.warm.mode;
        let decided = |mode, reason: String| Self {
            mode,
            reason,
            is_automatic: set == WarmMode::Auto,
        };
        let processes = input.processes_on(input.host_name());
        match set {
            WarmMode::Off => decided(Mode::Off, "warm.mode is off".to_owned()),
            WarmMode::Auto => {
                let problem = (!sockets::held(input))
                    .then(|| "systemd opens no sockets of the processes".to_owned());
                let few =
                    || (processes < ENOUGH).then(|| format!("fewer than {ENOUGH} processes run"));
                let mut rows = COVERED.iter();
                let uncovered = || rows.find_map(|row| row.problem(input.facts));
                match problem.or_else(few).or_else(uncovered) {
                    Some(problem) => decided(Mode::Off, format!("warm.mode is auto: {problem}")),
                    None => decided(Mode::Fork, "warm.mode is auto".to_owned()),
                }
            }
            WarmMode::Fork => decided(Mode::Fork, "warm.mode is fork".to_owned()),
            WarmMode::Immortal => match immortal_problem(input.facts) {
                Some(problem) => decided(Mode::Fork, format!("warm.mode is immortal: {problem}")),
                None => decided(Mode::Immortal, "warm.mode is immortal".to_owned()),
            },
        }
    }
}

/// Why `warm.mode: immortal` has no effect on a host.
pub fn immortal_problem(facts: &HostFacts) -> Option<String> {
    // An unknown interpreter decides itself.
    facts.python.and_then(|_| IMMORTAL.problem(facts))
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.mode, self.reason)
    }
}
