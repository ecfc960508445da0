//! Sends this server the requests of other homeservers and clients.

mod curl;
mod dns;
mod gather;
mod record;

pub use gather::gather;
pub use record::{record, verdict};
