//! A step: a plain value that `plan` prints and `apply` executes.

use crate::state::Resource;
use crate::state::acme::Order;
use crate::state::units;
use serde::Serialize;
use std::collections::BTreeSet;

/// One change of the host, or one check of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", content = "of", rename_all = "snake_case")]
pub enum Step {
    /// Install missing programs with this command. It runs before the other steps are planned, because
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
    /// Build a damaged venv again. If that fails, the damaged one is put back.
    Rebuild {
        resource: Resource,
        reason: String,
    },
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
    #[serde(rename = "judge")]
    Validate {
        number: u32,
        #[serde(rename = "judge")]
        validator: Validator,
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
    /// Copy a file of a generation to its path on the host. `edited` if the file was modified there outside this
    /// program.
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
    /// Have the authority issue the certificate. A refusal does not fail the run: nginx serves with the certificate that
    /// it has, and a timer repeats the attempt.
    ObtainCertificate(Order),
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
    /// The sign of this kind in a list of changes.
    pub(super) fn sign(self) -> char {
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
pub enum Validator {
    Nginx,
    /// Synapse's parser, for the processes with these files below `synapse/`, each of which only one process reads.
    Synapse(Vec<String>),
    Systemd,
    Prometheus,
    Alertmanager,
    /// PostgreSQL reads the file of this path together with its own configuration.
    Postgres(String),
    /// The Synapse that is about to run checks the schema of its database.
    Schema,
    /// A Synapse of an unknown release names the endpoints of its workers.
    Endpoints,
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
                | Step::Rebuild { .. }
                | Step::Directories
                | Step::WriteGeneration { .. }
                | Step::Validate { .. }
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
            Step::Remove(resource) => !resource.is_replaced_service(),
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
            Step::Validate { .. }
                | Step::Hold
                | Step::Drain(_)
                | Step::MoveDatabase {
                    part: Move::Compare,
                    ..
                }
        )
    }
}
