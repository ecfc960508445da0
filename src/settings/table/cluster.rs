//! The section about the network between hosts.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::value::{Raw, Value};

section! {
    /// The network between the hosts in `hosts`.
    cluster: Cluster {
        /// Whether the network between the hosts encrypts what they send, as WireGuard does. Requests between
        /// Synapse's processes, and those to Redis, are not encrypted themselves, so without this setting every
        /// address must be private (RFC 1918, fc00::/7 or 100.64.0.0/10).
        encrypted: bool = "false";
    }
}
