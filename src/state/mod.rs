//! The vocabulary of all other modules: the state of a host, its paths and unit names, and the restart that each change
//! requires.
//!
//! [`State`] describes a host, either as desired or as a generation recorded it; [`units`], [`paths`] and [`accounts`]
//! hold the names that are a contract with users. Nothing here imports another module of this program.

pub mod accounts;
pub mod acme;
pub mod admission;
pub mod cluster;
mod digest;
pub mod host_facts;
pub mod host_size;
mod model;
pub mod nginx_fingerprint;
pub mod paths;
pub mod ports;
mod records;
mod resource;
pub mod restart_rules;
pub mod services;
pub mod synapse_config;
mod synapse_venv;
pub mod trial;
pub mod units;

pub use admission::Admission;
pub use cluster::Cluster;
pub use digest::digest;
pub use host_facts::HostFacts;
pub use host_size::HostSize;
pub use model::{File, Files, HOST, Manifest, Newer, Observed, State, UnitState};
pub use records::Records;
pub use resource::Resource;
pub use synapse_venv::{BASE_EXTRAS, SynapseVenv, normalized};
