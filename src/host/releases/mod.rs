//! The releases of Synapse that this host could run: those that pip or the package manager offers.

mod origin;
mod packages;
mod pip;

pub use origin::{Available, Origin};
pub use pip::{precedes, schema};
