//! An existing Synapse that is adopted: its configuration files keep their place and stay in effect.
//!
//! Synapse reads copies of the adopted files before all rendered files, and if two files contain the same top-level
//! key, the later file wins. Therefore rendered files omit every key that the adopted files set, except for the few
//! keys that this program must control; those come last. This module is pure.

mod import;
mod imported;
mod listeners;
mod mas;
mod model;
mod obstacles;

pub use import::import;
pub use imported::Imported;
pub use model::{Adopted, CLIENT_FILE, RTC, Store};
