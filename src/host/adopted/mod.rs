//! An existing Synapse on this host: the service that runs it, its processes, its files, its user and its Python.

mod files;
mod find;
mod processes;

pub use files::{closed_directory, owner, read};
pub use find::{Found, find};
pub use processes::process_that_reads;
