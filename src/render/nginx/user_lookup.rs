//! The lookup of users: for requests that are balanced by user and whose token does not contain the user, nginx asks
//! whoami, with `auth_request`, and caches the answer.
//!
//! The other ways need more: njs has no dictionary that nginx's processes share before 0.8.0, and Debian 12 has 0.7.9.
//! A service of its own would be one more process that can fail. nginx can read the response of whoami only from a
//! header, which the launcher adds (`packaging/launcher/named_users.py`).

use crate::settings::Settings;
use crate::topology::{Balance, RoutingTable};

/// The endpoint that answers whose token it is (Client-Server API).
const WHOAMI: &str = "/_matrix/client/v3/account/whoami";

/// The upstreams on both sides of the lookup.
pub(super) struct UserLookup {
    /// The upstream of whoami.
    pub whoami: String,
    pub path: &'static str,
    /// The names of the upstreams of several processes that are balanced by user, as alternatives of a regular
    /// expression.
    pub upstreams: String,
}

impl UserLookup {
    /// The lookup, if tokens do not contain the user and any upstream has a choice between processes.
    pub fn new(settings: &Settings, table: &RoutingTable) -> Option<Self> {
        let upstreams: Vec<&str> = table
            .upstreams
            .iter()
            .filter(|upstream| upstream.balance == Balance::User && upstream.servers.len() > 1)
            .map(|upstream| upstream.name.as_str())
            .collect();
        let needed = settings.mas.is_on() && !upstreams.is_empty();
        needed.then(|| Self {
            whoami: table.pick("GET", WHOAMI).1.name.clone(),
            path: WHOAMI,
            upstreams: upstreams.join("|"),
        })
    }
}
