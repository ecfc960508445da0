//! An existing Synapse that is adopted: its configuration files keep their place and stay in effect.
//!
//! Synapse reads copies of the adopted files before all rendered files, and if two files contain the same top-level
//! key, the later file wins. Therefore rendered files omit every key that the adopted files set, except for the few
//! keys that this program must control; those come last. This module is pure.

mod container;
mod import;
mod imported;
mod listener;
mod listeners;
mod mas;
mod model;
mod obstacles;
mod precedence;

pub use container::mapped;
pub use import::{Origin, import};
pub use imported::Imported;
pub use model::{Adopted, Store};
