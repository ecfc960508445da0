//! The deployment: settings, topology, the administrator's files and an adopted server, checked against each other, and the
//! questions that can be answered without a look at the host.

pub mod adopted;
pub mod endpoints;
mod files;
mod model;
pub mod secrets;

pub use files::{ReferencedFiles, SynapseOptions};
pub use model::Deployment;
