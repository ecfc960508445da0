//! The routing table: the upstream of each request, and the processes of each upstream.
//!
//! nginx evaluates it as a `map` of `"$request_method $raw_path"` with [`Route::expression`] as the keys, in order;
//! [`RoutingTable::pick`] evaluates the same expressions for the `routes` and `verify` commands and the tests.

use std::sync::LazyLock;

use regex::RegexSet;
use serde::Serialize;

use super::patterns::{ENDPOINTS, EndpointSet, Logins, MAS};
use super::releases::Unserved;
use super::roles::{Balance, Role, role};
use super::workers::Topology;

/// The name of the main process, as an upstream and as the only server of that upstream.
pub const MAIN: &str = "main";

/// What a route needs whose pattern the workers of the Synapse in use do not serve.
const NEWER: &str = "another release of Synapse";

/// One row of the routing table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Route {
    /// The name of its set of endpoints.
    pub set: &'static str,
    /// The HTTP methods that it applies to; all if empty.
    pub methods: &'static [&'static str],
    /// A regular expression on the raw path, without the query string.
    pub pattern: &'static str,
    /// The name of an upstream of the table.
    pub upstream: String,
    /// The role whose workers serve it, `main`, or `mas`.
    pub role: &'static str,
    /// Method and path of a request that takes this route.
    pub example: &'static str,
    /// What must be given for these paths to exist, such as an option of Synapse.
    pub needs: Option<&'static str>,
}

/// A group of processes that share requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upstream {
    /// The name of the role, with the balance if that is not the role's own; it matches `[a-z0-9_]+`.
    pub name: String,
    /// Names of workers, or `main` or `mas` alone.
    pub servers: Vec<String>,
    /// How nginx chooses one of the servers.
    pub balance: Balance,
    /// Whether the main process can answer when none of the servers does.
    pub fallback_to_main: bool,
}

/// The upstream of every request. A request that matches no route goes to the upstream `main`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoutingTable {
    /// The routes in order; the first match counts. All topologies have the same routes and differ only in the
    /// upstreams.
    pub routes: Vec<Route>,
    /// The upstream `main`, then the others in order of first use.
    pub upstreams: Vec<Upstream>,
    /// The service in which users log in, on which the routes depend.
    #[serde(skip)]
    logins: Logins,
}

impl RoutingTable {
    /// The routes of this topology. A set of endpoints goes to the first of its roles that has a worker, or to main.
    pub fn new(topology: &Topology, logins: Logins) -> Self {
        let mut table = RoutingTable {
            routes: Vec::new(),
            upstreams: vec![Upstream::of_one(MAIN)],
            logins,
        };
        for set in sets(logins) {
            let serving_role = serving_role(set, topology);
            let upstream = match (set.outside, serving_role) {
                (Some(service), _) => table.add(Upstream::of_one(service)),
                (None, Some(role)) => table.upstream(role, set.balance, topology),
                (None, None) => MAIN.to_owned(),
            };
            let role = serving_role.map(|role| role.name);
            table
                .routes
                .extend(set.paths.iter().map(|(pattern, example)| Route {
                    set: set.name,
                    methods: set.methods,
                    pattern,
                    upstream: upstream.clone(),
                    role: set.outside.or(role).unwrap_or(MAIN),
                    example,
                    needs: set.needs,
                }));
        }
        table
    }

    /// The same table for a Synapse whose workers do not serve these patterns: main gets their requests.
    pub fn without(mut self, unserved: &Unserved) -> Self {
        let lost = |route: &&mut Route| route.role != MAS && unserved.contains(route.pattern);
        for route in self.routes.iter_mut().filter(lost) {
            route.upstream = MAIN.to_owned();
            route.role = MAIN;
            route.needs = Some(NEWER);
        }
        let used = |name: &str| self.routes.iter().any(|route| route.upstream == name);
        self.upstreams
            .retain(|up| up.name == MAIN || used(&up.name));
        self
    }

    /// The route of a request, or `None` if no worker may serve it, and the upstream of the request.
    pub fn pick(&self, method: &str, raw_path_and_query: &str) -> (Option<&Route>, &Upstream) {
        let path = raw_path_and_query.split('?').next().unwrap_or_default();
        let matches = expressions(self.logins).matches(&format!("{method} {path}"));
        let route = matches.iter().next().map(|first| &self.routes[first]);
        let name = route.map_or(MAIN, |route| &route.upstream);
        let named = self.upstreams.iter().find(|upstream| upstream.name == name);
        (route, named.unwrap_or(&self.upstreams[0]))
    }

    /// Returns the name of the upstream of a role, and adds the upstream if it is new.
    fn upstream(&mut self, role: &Role, balance: Option<Balance>, topology: &Topology) -> String {
        let own = role.balance.unwrap_or(Balance::Single);
        let balance = balance.unwrap_or(own);
        let name = match balance {
            Balance::Room if own != balance => format!("{}_by_room", role.name),
            Balance::Origin if own != balance => format!("{}_by_origin", role.name),
            _ => role.name.to_owned(),
        };
        self.add(Upstream {
            name,
            servers: topology
                .with_role(role.name)
                .map(|worker| worker.name.clone())
                .collect(),
            balance,
            fallback_to_main: role.fallback_to_main,
        })
    }

    /// Adds an upstream if it is new, and returns its name.
    fn add(&mut self, upstream: Upstream) -> String {
        let name = upstream.name.clone();
        if !self.upstreams.iter().any(|known| known.name == name) {
            self.upstreams.push(upstream);
        }
        name
    }
}

impl Upstream {
    /// An upstream with one server, which has the same name.
    fn of_one(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            servers: vec![name.to_owned()],
            balance: Balance::Single,
            fallback_to_main: false,
        }
    }

    /// Whether the servers are processes of Synapse.
    pub fn is_synapse(&self) -> bool {
        self.name != MAS
    }
}

impl Route {
    /// The pattern after its methods: a regular expression on `METHOD PATH`. It contains one blank, so it needs quotes
    /// in nginx; it contains no `{`, no `;` and no quotes.
    pub fn expression(&self) -> String {
        expression(self.methods, self.pattern)
    }

    /// Method and path of [`Route::example`].
    pub fn probe(&self) -> (&'static str, &'static str) {
        self.example
            .split_once(' ')
            .unwrap_or(("GET", self.example))
    }
}

/// The sets of endpoints that exist.
fn sets(logins: Logins) -> impl Iterator<Item = &'static EndpointSet> {
    ENDPOINTS
        .iter()
        .filter(move |set| set.logins.is_none_or(|only| only == logins))
}

/// The expressions of all routes, which are the same for every topology.
fn expressions(logins: Logins) -> &'static RegexSet {
    static WITHOUT_MAS: LazyLock<RegexSet> = LazyLock::new(|| compiled(Logins::Synapse));
    static WITH_MAS: LazyLock<RegexSet> = LazyLock::new(|| compiled(Logins::Mas));
    match logins {
        Logins::Synapse => &WITHOUT_MAS,
        Logins::Mas => &WITH_MAS,
    }
}

fn compiled(logins: Logins) -> RegexSet {
    let paths = sets(logins).flat_map(|set| set.paths.iter().map(|path| (set.methods, path.0)));
    // The patterns are constants, and the tests match each of them.
    RegexSet::new(paths.map(|(methods, pattern)| expression(methods, pattern)))
        .expect("the patterns are regular expressions")
}

/// The pattern of Synapse's endpoints that this method and path match, with and without another service for logins.
pub(super) fn matching(method: &str, path: &str) -> Option<&'static str> {
    let line = format!("{method} {path}");
    let of = |logins| {
        let first = expressions(logins).matches(&line).iter().next()?;
        let mut paths =
            sets(logins).flat_map(|set| set.paths.iter().map(move |path| (set, path.0)));
        let (_, pattern) = paths.nth(first).filter(|(set, _)| set.outside.is_none())?;
        Some(pattern)
    };
    [Logins::Synapse, Logins::Mas].into_iter().find_map(of)
}

fn expression(methods: &[&str], pattern: &str) -> String {
    let path = pattern.trim_start_matches('^');
    if methods.is_empty() {
        return format!("^[A-Z]+ {path}");
    }
    // Synapse answers HEAD like GET, and OPTIONS (a browser's preflight) everywhere.
    let head = methods.contains(&"GET").then_some("HEAD");
    let methods: Vec<_> = methods
        .iter()
        .copied()
        .chain(head)
        .chain(["OPTIONS"])
        .collect();
    format!("^({}) {path}", methods.join("|"))
}

/// The first role of the set that any worker has.
fn serving_role(set: &EndpointSet, topology: &Topology) -> Option<&'static Role> {
    let mut present = set
        .roles
        .iter()
        .filter(|name| topology.with_role(name).next().is_some());
    present.next().and_then(|name| role(name))
}

#[cfg(test)]
mod tests;
