//! Topology: from a worker spec to workers and the routes that lead to them.
//!
//! ```text
//! "full, synchrotron:2" ─ spec ─> WorkerSpec ─ workers ─> Topology ─ routes ─> RoutingTable
//!                          ^ presets           ^ roles               ^ patterns
//! ```
//!
//! Everything here is a pure function of the spec and of two tables: the catalogue of roles ([`roles::ROLES`]) and the
//! endpoints that workers serve ([`patterns::ENDPOINTS`]). Both describe the newest release of Synapse;
//! [`mod@releases`] lists the differences of older ones, and [`mod@compare`] finds those of an installed one.

pub mod cluster;
pub mod compare;
pub mod edit;
mod entry;
pub mod needs;
pub mod patterns;
pub mod presets;
pub mod releases;
pub mod roles;
pub mod routes;
mod rules;
mod samples;
pub mod spec;
pub mod worker_keys;
pub mod workers;

pub use compare::{Differences, Endpoint, compare};
pub use patterns::Logins;
pub use presets::{PRESETS, Preset, preset};
pub use releases::{Release, Unserved};
pub use roles::{Balance, Duty, ROLES, Role};
pub use routes::{Route, RoutingTable, Upstream};
pub use spec::{SpecError, WorkerSpec, parse};
pub use worker_keys::WORKER_KEYS;
pub use workers::{Topology, Worker};
