//! Preflight checks: the host as a command finds it, and whether it fulfils what the request needs. Nothing is changed.

mod accounts;
mod checks;
mod coturn;
mod database;
mod given;
mod inspect;

pub use checks::{CHECKS, Check, Examined, Finding, examine};
pub use inspect::{Found, Purpose, host, look};
