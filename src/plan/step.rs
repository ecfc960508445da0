//! A step: a plain value that is printed by `plan` and done by `apply`, the same one.

use crate::state::Resource;
use crate::state::units;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// One thing to do on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", content = "of", rename_all = "snake_case")]
pub enum Step {
    /// Install programs that are missing, by this command. A run of its own before the others: what is rendered depends on
    /// the programs.
    InstallPrograms {
        programs: Vec<String>,
        command: Vec<String>,
    },
    /// Write the settings file: the first one, or with keys changed.
    WriteSettings {
        path: String,
        what: String,
    },
    RemoveSettings {
        path: String,
    },
    /// Make what is missing besides files and units.
    Create(Resource),
    /// Take it away again.
    Remove(Resource),
    /// Owners and modes of directories, as tmpfiles.d says.
    Directories,
    /// Write a new generation beside the others; nothing reads it yet.
    WriteGeneration {
        number: u32,
        changes: Vec<FileChange>,
    },
    /// Have a real program judge the generation.
    Judge {
        number: u32,
        judge: Judge,
    },
    /// Move the data of an SQLite file into the database that this generation names.
    MoveDatabase {
        number: u32,
        file: String,
        part: Move,
    },
    /// Make `current` name this generation.
    Switch {
        number: u32,
    },
    /// Copy a file of a generation to its place on the host; `edited` when somebody else changed it there.
    WriteFile {
        path: String,
        edited: bool,
    },
    RemoveFile {
        path: String,
    },
    /// Have systemd read unit files anew.
    ReloadManager,
    Enable(Vec<String>),
    Disable(Vec<String>),
    /// Jobs that are queued together and waited for.
    Jobs {
        verb: Verb,
        units: Vec<String>,
        reasons: Vec<String>,
        /// So many at a time, one after another; all at once where it does not say.
        rolling: Option<usize>,
    },
    /// Have requests wait at nginx's ports, which systemd holds, until nginx starts again.
    Hold,
    /// Wait until nginx has nothing under way any more with processes that are about to stop for good.
    Drain(Vec<String>),
    /// Forget that these failed.
    ResetFailed(Vec<String>),
    /// Remove the socket files that stopped processes left.
    RemoveSockets(BTreeSet<String>),
    /// Remove generations, and with them all that is known of earlier states.
    Forget,
}

/// How one file of a generation differs from what the processes run with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    pub path: String,
    pub kind: ChangeKind,
}

/// See [`FileChange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Changed,
    Removed,
}

impl ChangeKind {
    fn sign(self) -> char {
        match self {
            ChangeKind::Added => '+',
            ChangeKind::Changed => '~',
            ChangeKind::Removed => '-',
        }
    }
}

/// A part of a move from SQLite to PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Move {
    /// All, while the server runs.
    First,
    /// What changed since, once it is stopped.
    Last,
    /// Whether both have the same rows.
    Compare,
}

impl Move {
    /// What the script that does it calls it.
    pub fn word(self) -> &'static str {
        match self {
            Move::First => "first",
            Move::Last => "last",
            Move::Compare => "compare",
        }
    }
}

/// A program that says whether rendered files are right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    Nginx,
    /// For these processes, by the files below `synapse/` that they alone read.
    Synapse(Vec<String>),
    Systemd,
    Prometheus,
    /// The Synapse that is going to run, of its database.
    Schema,
}

/// What systemd is asked to do with units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    /// The word that `systemctl` has for it.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Start => "start",
            Verb::Stop => "stop",
            Verb::Restart => "restart",
            Verb::Reload => "reload",
        }
    }
}

impl Step {
    /// Whether processes or systemd see it: from the first such step on, the way back is a plan of its own.
    pub fn is_seen(&self) -> bool {
        if let Step::Create(resource) = self {
            return resource.is_late();
        }
        !matches!(
            self,
            Step::WriteSettings { .. }
                | Step::Directories
                | Step::WriteGeneration { .. }
                | Step::Judge { .. }
                | Step::MoveDatabase {
                    part: Move::First,
                    ..
                }
        )
    }

    /// Whether it is a job for a process of Synapse.
    pub fn is_of_synapse(&self) -> bool {
        matches!(self, Step::Jobs { units, .. } if units.iter().any(|unit| units::is_synapse(unit)))
    }

    /// Whether something goes that a process may still use. An adopted service that comes back is none of that.
    pub fn removes(&self) -> bool {
        match self {
            Step::Remove(resource) => !resource.is_late(),
            Step::RemoveFile { .. }
            | Step::RemoveSettings { .. }
            | Step::RemoveSockets(_)
            | Step::Forget => true,
            _ => false,
        }
    }

    /// Whether the host is another one afterwards; judging does not count.
    pub fn changes(&self) -> bool {
        !matches!(
            self,
            Step::Judge { .. }
                | Step::Hold
                | Step::Drain(_)
                | Step::MoveDatabase {
                    part: Move::Compare,
                    ..
                }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::InstallPrograms { programs, command } => write!(
                f,
                "+ install {}\n          by {}",
                list(programs),
                command.join(" ")
            ),
            Step::WriteSettings { path, what } => write!(f, "~ write   {path}: {what}"),
            Step::RemoveSettings { path } => write!(f, "- remove  {path}"),
            Step::Create(Resource::Stopped(service)) => {
                write!(
                    f,
                    "! stop    {service}\n          because its server is adopted"
                )
            }
            Step::Create(Resource::Disabled(service)) => {
                write!(f, "- disable {service} (uninstall gives it back)")
            }
            Step::Remove(Resource::Stopped(service)) => {
                write!(
                    f,
                    "! start   {service}\n          because its server is given back"
                )
            }
            Step::Remove(Resource::Disabled(service)) => write!(f, "+ enable  {service}"),
            Step::Create(resource) => write!(f, "+ create  {resource}"),
            Step::Remove(resource) => write!(f, "- remove  {resource}"),
            Step::Directories => write!(f, "~ set     owners and modes of directories"),
            Step::WriteGeneration { number, changes } => {
                write!(f, "+ write   generation {number}")?;
                changes.iter().try_for_each(|change| {
                    write!(f, "\n          {} {}", change.kind.sign(), change.path)
                })
            }
            Step::Judge { number, judge } => {
                let program = match judge {
                    Judge::Nginx => "nginx -t",
                    Judge::Synapse(_) => "Synapse's own configuration parser",
                    Judge::Systemd => "systemd-analyze verify",
                    Judge::Prometheus => "promtool check config",
                    Judge::Schema => "the schema of the database",
                };
                write!(f, "  check   generation {number} with {program}")
            }
            Step::MoveDatabase { file, part, .. } => match part {
                Move::First => write!(f, "+ copy    {file} into PostgreSQL, while it is in use"),
                Move::Last => write!(f, "~ copy    what changed in {file} since"),
                Move::Compare => write!(f, "  check   that every table has the same rows in both"),
            },
            Step::Switch { number } => write!(f, "~ switch  to generation {number}"),
            Step::WriteFile { path, edited } => {
                let note = if *edited {
                    " (somebody else changed it)"
                } else {
                    ""
                };
                write!(f, "+ write   {path}{note}")
            }
            Step::RemoveFile { path } => write!(f, "- remove  {path}"),
            Step::ReloadManager => write!(f, "~ reload  unit files (systemctl daemon-reload)"),
            Step::Enable(units) => write!(f, "+ enable  {}", list(units)),
            Step::Disable(units) => write!(f, "- disable {}", list(units)),
            Step::Jobs {
                verb,
                units,
                reasons,
                rolling,
            } => {
                write!(f, "! {:<7} {}", verb.word(), list(units))?;
                if let Some(number) = rolling.filter(|number| *number < units.len()) {
                    write!(f, "\n          {number} at a time")?;
                }
                reasons
                    .iter()
                    .try_for_each(|reason| write!(f, "\n          because {reason}"))
            }
            Step::Hold => write!(
                f,
                "! hold    requests at nginx's ports, until all others are back"
            ),
            Step::Drain(units) => {
                write!(f, "  drain   connections of nginx to {}", list(units))
            }
            Step::ResetFailed(units) => write!(f, "~ reset   failed state of {}", list(units)),
            Step::RemoveSockets(names) => {
                write!(f, "- remove  sockets of {}", list(names))
            }
            Step::Forget => write!(f, "- remove  all generations"),
        }
    }
}

/// Where a line of names is broken, in columns.
const WIDTH: usize = 100;

/// Names one after another, wrapped and indented below the first.
fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let mut text = String::new();
    let mut column = 10;
    for name in names {
        if !text.is_empty() && column + name.len() > WIDTH {
            text.push_str("\n          ");
            column = 10;
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(name);
        column += name.len() + 1;
    }
    text
}
