//! Backups by restic: the repository, its snapshots, and the parts of a backup with their way back.

mod added;
mod begun;
mod contents;
mod database;
mod environment;
mod failures;
mod media;
mod record;
mod repository;
mod snapshots;

pub use added::Added;
pub use begun::BegunRestore;
pub use contents::{Contents, Manifest, SavedFile};
pub use database::{Counts, Source};
pub use environment::problem as environment_problem;
pub use media::Media;
pub use record::{
    Checked, LastBackup, age, forget_repository, has_held, last, overdue, record, record_check,
    record_repository,
};
pub use repository::Repository;
pub use snapshots::{Part, Run, Tags};
