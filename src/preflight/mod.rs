//! Preflight checks: whether the host, as a command finds it, meets the conditions of the request. Nothing is changed.

mod accounts;
mod backup;
mod check;
mod checks;
mod comparison;
mod database;
mod directories;
mod inspect;
mod network;
mod opening;
mod programs;
mod secrets;
mod sizing;
mod synapse;
mod system;

pub use check::{Check, Examined, Finding};
pub use checks::{CHECKS, examine};
pub use comparison::{Compared, Comparison};
pub use inspect::{Admitted, Found, Purpose, admit, before_restore, host, inspect};
pub use synapse::settings_since;
