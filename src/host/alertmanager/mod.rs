//! Alertmanager on this host: whether it is ready, and a test alert with its outcome.

mod api;
mod destination;
mod log;
mod test_alert;

pub use api::ready;
pub use destination::{Destination, Integration};
pub use test_alert::test;
