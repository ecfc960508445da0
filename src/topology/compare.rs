//! Compares the table of endpoints with the endpoints that a Synapse registers.

use super::routes::matching;
use super::samples::samples;
use regex::RegexSet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// An endpoint of a Synapse, as `src/host/endpoints.py` prints it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// The HTTP method.
    pub method: String,
    /// Synapse's own regular expression on the raw path, in Python's syntax.
    pub pattern: String,
    /// The name of the class that answers it.
    pub servlet: String,
    /// Whether the main process registers it.
    pub main: bool,
    /// Whether a worker with every listener resource registers it.
    pub worker: bool,
    /// Whether it is registered without experimental features and without the Matrix Authentication Service.
    pub plain: bool,
}

/// The differences of a Synapse from the table of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Differences {
    /// Patterns of the table with a request that the main process answers and a worker does not.
    pub unserved: BTreeSet<String>,
    /// Requests that a worker answers and that match no pattern of the table, each as `METHOD PATH`.
    pub unrouted: BTreeSet<String>,
}

impl Differences {
    /// The note about endpoints that a newer release of this program could route to workers.
    pub fn note(&self) -> Option<String> {
        let list: Vec<&str> = self.unrouted.iter().map(String::as_str).collect();
        (!list.is_empty()).then(|| {
            format!(
                "note: this Synapse serves {} on workers too; this release of synapse-workers sends them to the main process",
                list.join(", ")
            )
        })
    }
}

/// Servlets that workers register and that the table leaves to the main process, with the reason.
pub static LEFT_TO_MAIN: &[(&str, &str)] = &[
    ("EventRestServlet", UNLISTED),
    ("AppservicePingRestServlet", UNLISTED),
    ("RoomComplexityServlet", UNLISTED),
    ("On3pidBindServlet", UNLISTED),
    ("OpenIdUserInfo", UNLISTED),
    ("LocalKey", UNLISTED),
    ("UnsubscribeResource", UNLISTED),
    ("MediaUploadLimitExceededResource", UNLISTED),
    ("FederationWhitelistResource", UNLISTED),
    (
        "RoomSummaryRestServlet",
        "one of three paths is not in Synapse's list",
    ),
    (
        "OIDCBackchannelLogoutResource",
        "it belongs to the sessions of single sign-on",
    ),
    ("HealthResource", "it is about the process that answers"),
    ("MetricsResource", "nginx asks each process for its own"),
    (
        "ProfileFieldRestServlet",
        "its experimental path has a stable successor, which is routed",
    ),
    ("DeactivateAccountRestServlet", IDENTITY),
    ("FederationThirdPartyInviteExchangeServlet", IDENTITY),
];

const UNLISTED: &str = "not in Synapse's list of endpoints for workers";
const IDENTITY: &str = "asks identity servers, for which a worker would need the network";

/// Compares the endpoints of a Synapse with the table. A pattern that is not a regular expression in this program's
/// syntax cannot be compared and counts as equal.
pub fn compare(endpoints: &[Endpoint]) -> Differences {
    let served = Served::by_workers(endpoints);
    let mut differences = Differences::default();
    for endpoint in endpoints {
        let paths = samples(&endpoint.pattern);
        let routes = paths.iter().map(|path| matching(&endpoint.method, path));
        let routes: Vec<Option<&str>> = routes.collect();
        if endpoint.main {
            let lost = paths.iter().zip(&routes);
            let lost = lost.filter(|(path, _)| !served.answer(&endpoint.method, path));
            let lost = lost.filter_map(|(_, route)| *route);
            differences.unserved.extend(lost.map(str::to_owned));
        }
        let left = LEFT_TO_MAIN
            .iter()
            .any(|(servlet, _)| *servlet == endpoint.servlet);
        if endpoint.worker && endpoint.plain && !left && routes.iter().all(Option::is_none) {
            // The newest version of an old path is the one that readers know.
            let known = paths.iter().find(|path| path.contains("/v3/"));
            let sample = known.or(paths.first());
            let sample = sample.map(|path| format!("{} {path}", endpoint.method));
            // Another program wrote the pattern, and a terminal shows the sample.
            let shown =
                sample.filter(|line| line.chars().all(|c| c.is_ascii_graphic() || c == ' '));
            differences.unrouted.extend(shown);
        }
    }
    differences
}

/// What the workers of a Synapse answer.
struct Served<'a> {
    methods: Vec<&'a str>,
    patterns: RegexSet,
}

impl<'a> Served<'a> {
    fn by_workers(endpoints: &'a [Endpoint]) -> Self {
        let known = endpoints.iter().filter(|endpoint| endpoint.worker);
        // Python's `match` looks at the beginning of the path only.
        let known = known.map(|endpoint| (endpoint, format!("^(?:{})", endpoint.pattern)));
        let known: Vec<_> = known
            .filter(|(_, pattern)| regex::Regex::new(pattern).is_ok())
            .collect();
        Self {
            methods: known
                .iter()
                .map(|(endpoint, _)| endpoint.method.as_str())
                .collect(),
            // Each pattern is valid, so only their size could be a problem.
            patterns: RegexSet::new(known.iter().map(|(_, pattern)| pattern)).unwrap_or_default(),
        }
    }

    fn answer(&self, method: &str, path: &str) -> bool {
        let mut matches = self.patterns.matches(path).into_iter();
        matches.any(|at| self.methods[at] == method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(line: &str, servlet: &str, processes: &str) -> Endpoint {
        let (method, pattern) = line.split_once(' ').unwrap();
        Endpoint {
            method: method.to_owned(),
            pattern: pattern.to_owned(),
            servlet: servlet.to_owned(),
            main: processes.contains('m'),
            worker: processes.contains('w'),
            plain: !processes.contains('x'),
        }
    }

    #[test]
    fn differences_are_what_only_main_serves_and_what_the_table_lacks() {
        const PUBLIC: &str = "/_matrix/client/(api/v1|r0|v3|unstable)/";
        let differences = compare(&[
            endpoint(&format!("GET ^{PUBLIC}sync$"), "Sync", "mw"),
            // No worker has this one.
            endpoint(
                "GET ^/_matrix/client/(r0|v3|unstable)/capabilities$",
                "Capabilities",
                "m",
            ),
            // A worker answers GET alone, which is routed by its method.
            endpoint(
                "GET ^/_synapse/admin/v2/users/(?P<user_id>[^/]*)$",
                "Get",
                "w",
            ),
            endpoint(
                "PUT ^/_synapse/admin/v2/users/(?P<user_id>[^/]*)$",
                "Put",
                "m",
            ),
            endpoint(
                "GET ^/_synapse/admin/v2/users/(?P<user_id>[^/]*)$",
                "Both",
                "m",
            ),
            // New ones: for every server, and with an experimental feature.
            endpoint(
                "GET ^/_matrix/client/(v1|v3)/novel/(?P<x>[^/]*)$",
                "Novel",
                "mw",
            ),
            endpoint("GET ^/_matrix/client/unstable/odd$", "Odd", "mwx"),
            endpoint("GET ^/_matrix/client/v1/\u{1b}[2J$", "Hostile", "mw"),
            endpoint("GET ^/_matrix/client/v1/new(?!er)$", "Lookahead", "m"),
            endpoint(
                &format!("GET ^{PUBLIC}events/(?P<event_id>[^/]*)$"),
                "EventRestServlet",
                "mw",
            ),
        ]);
        let unserved =
            ["^/_matrix/client/(r0|v3|unstable)/(capabilities|notifications|password_policy)$"];
        assert_eq!(Vec::from_iter(&differences.unserved), unserved);
        let unrouted = ["GET /_matrix/client/v3/novel/x"];
        assert_eq!(Vec::from_iter(&differences.unrouted), unrouted);
    }
}
