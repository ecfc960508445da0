//! A step: a plain value that `plan` prints and `apply` executes.

use crate::state::Resource;
use crate::state::units;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;

/// One change of the host, or one check of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", content = "of", rename_all = "snake_case")]
pub enum Step {
    /// Install missing programs with this command. It runs before the plan of the other steps is made, because
    /// rendering depends on the programs.
    InstallPrograms {
        programs: Vec<String>,
        command: Vec<String>,
    },
    /// Write the settings file: the first one, or one with changed keys.
    WriteSettings {
        path: String,
        what: String,
    },
    RemoveSettings {
        path: String,
    },
    /// Create a missing resource.
    Create(Resource),
    /// Remove a resource.
    Remove(Resource),
    /// Set ownership and permissions of directories with tmpfiles.d.
    Directories,
    /// Write a new generation beside the others. Nothing reads it yet.
    WriteGeneration {
        number: u32,
        changes: Vec<FileChange>,
    },
    /// Validate the generation with a real program.
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
    /// Point `current` to this generation.
    Switch {
        number: u32,
    },
    /// Copy a file of a generation to its path on the host. `edited` if another program or the administrator changed it
    /// there.
    WriteFile {
        path: String,
        edited: bool,
    },
    RemoveFile {
        path: String,
    },
    /// Have systemd reload unit files.
    ReloadManager,
    Enable(Vec<String>),
    Disable(Vec<String>),
    /// Jobs that are queued together and waited for.
    Jobs {
        verb: Verb,
        units: Vec<String>,
        reasons: Vec<String>,
        /// The number of units in one batch; all units at once if `None`.
        rolling: Option<usize>,
    },
    /// Hold new connections at nginx's sockets, which systemd keeps open, until nginx starts again.
    Hold,
    /// Wait until nginx has drained its connections to processes that are about to be removed.
    Drain(Vec<String>),
    /// Reset the failed state of these units.
    ResetFailed(Vec<String>),
    /// Remove the socket files that stopped processes left.
    RemoveSockets(BTreeSet<String>),
    /// Remove all generations, and with them every record of earlier states.
    Forget,
}

/// The difference between one file of a generation and the file that the processes run with.
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
    /// Copy all rows while the server runs.
    First,
    /// Copy the rows that changed since, after the server has stopped.
    Last,
    /// Check that both databases have the same rows.
    Compare,
}

impl Move {
    /// The name of this part on the command line of the migration script.
    pub fn word(self) -> &'static str {
        match self {
            Move::First => "first",
            Move::Last => "last",
            Move::Compare => "compare",
        }
    }
}

/// A validator: a program that checks rendered files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judge {
    Nginx,
    /// Synapse's parser, for the processes with these files below `synapse/`, each of which only one process reads.
    Synapse(Vec<String>),
    Systemd,
    Prometheus,
    /// The Synapse that is about to run checks the schema of its database.
    Schema,
}

/// The type of a systemd job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    Start,
    Stop,
    Restart,
    Reload,
}

impl Verb {
    /// The verb of `systemctl`.
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
    /// Whether processes or systemd notice this step. From the first such step on, a rollback needs a plan of its own.
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

    /// Whether the step is a job for a Synapse process.
    pub fn is_of_synapse(&self) -> bool {
        matches!(self, Step::Jobs { units, .. } if units.iter().any(|unit| units::is_synapse(unit)))
    }

    /// Whether the step removes something that a process may still use. Giving back an adopted service is no such
    /// removal.
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

    /// Whether the step changes the host. Validation does not count.
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

/// Maximum width of a line of names, in columns.
const WIDTH: usize = 100;

/// Names separated by blanks, wrapped and indented below the first one.
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
