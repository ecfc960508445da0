//! Advice: from two readings of a running server to its load, and from its load to recommendations.
//!
//! ```text
//! host ─> Reading, Reading ─> Sample ─> rules ─> Recommendation
//! ```
//!
//! Everything here is a pure function of the readings and the deployment. `host/load/` makes the readings.
//!
//! A process of Synapse computes on one processor at a time, because Python's interpreter lock admits one thread. So the
//! unit of load is one processor: a process that uses 0.85 of it is [`rules::SATURATED`].

pub mod counters;
mod load;
mod outlook;
pub mod reading;
mod recommendation;
pub mod rules;
mod sample;
mod scene;
pub mod work;

pub use load::{MachineLoad, PostgresLoad, ProcessLoad, Sample, SynapseLoad, UpstreamLoad};
pub use outlook::Outlook;
pub use recommendation::{Change, Recommendation};
pub use scene::Scene;
