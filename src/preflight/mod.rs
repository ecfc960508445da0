//! Preflight checks: the host as a command finds it, and whether it fulfils what the request needs. Nothing is changed.

mod accounts;
mod check;
mod checks;
mod coturn;
mod database;
mod inspect;
mod provided;

pub use check::{Check, Examined, Finding};
pub use checks::{CHECKS, examine};
pub use inspect::{Found, Purpose, host, look};
