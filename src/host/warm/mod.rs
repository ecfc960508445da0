//! Warm start, on the side of the unit: asks a fork server for a process, and makes it the main process of the unit.
//!
//! `packaging/launcher/warm_server.py` is the fork server, and describes the protocol.

mod notify;
mod request;
mod seen;
mod start;
mod unit;

pub use seen::{PLAINLY, facts, is_forked, reason_of_plain_start};
pub use start::{Outcome, Start, plain, start};
