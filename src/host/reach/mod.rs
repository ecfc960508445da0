//! Asks this server what other homeservers and clients ask, as they would.

mod curl;
mod dns;
mod gather;
mod record;

pub use gather::gather;
pub use record::{record, verdict};
