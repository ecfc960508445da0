//! The deployment: settings, topology, the administrator's files and an adopted server, checked against each other.
//! This module also answers every question that needs no access to the host.

pub mod adopted;
pub mod calls;
mod cluster;
pub mod endpoints;
pub mod extras;
mod files;
pub mod locations;
pub mod mas;
mod model;
mod opened;
mod options;
pub mod owned_keys;
mod saved;
pub mod secrets;
pub mod sizing;
mod slots;
pub mod tuning;

pub use cluster::Misplaced;
pub use files::{ReferencedFiles, SynapseOptions};
pub use model::Deployment;
pub use opened::place_of_rules;
pub use sizing::Sizes;
