//! The deployment: settings, topology, the administrator's files and an adopted server, checked against each other.
//! This module also answers every question that needs no access to the host.

pub mod adopted;
pub mod endpoints;
pub mod extras;
mod files;
mod model;
mod options;
pub mod owned_keys;
pub mod secrets;

pub use files::{ReferencedFiles, SynapseOptions};
pub use model::Deployment;
