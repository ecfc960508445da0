//! Compares the routing table with the endpoints that three releases of Synapse register in each process.
//!
//! `data/servlets.tsv` and `data/servlets-older.tsv` are the oracle: the resource trees of a main process and of a
//! worker, walked with every listener resource (see `oracle/mod.rs`). For a range of worker specs, each request in it must
//! reach only processes that serve it.

mod oracle;

use std::collections::{BTreeMap, BTreeSet};

use oracle::{Oracle, RELEASES, Request, Row};
use synapse_workers::advice::work;
use synapse_workers::topology::compare::LEFT_TO_MAIN;
use synapse_workers::topology::patterns::MAS;
use synapse_workers::topology::routes::MAIN;
use synapse_workers::topology::{
    Balance, Differences, Logins, ROLES, Release, RoutingTable, Topology, Unserved, compare,
    releases, spec,
};

/// Without and with the Matrix Authentication Service.
const LOGINS: [Logins; 2] = [Logins::Synapse, Logins::Mas];

struct Deployment {
    release: String,
    spec: String,
    topology: Topology,
    logins: Logins,
    table: RoutingTable,
}

impl Deployment {
    /// A deployment of the newest release.
    fn new(spec: &str) -> Self {
        Self::with(spec, Logins::Synapse)
    }

    fn with(spec: &str, logins: Logins) -> Self {
        Self::of(spec, logins, RELEASES[0])
    }

    fn of(spec: &str, logins: Logins, release: &str) -> Self {
        let specs = spec::parse(&[spec]).unwrap_or_else(|error| panic!("{spec}: {error}"));
        let topology = Topology::new(specs).unwrap_or_else(|error| panic!("{spec}: {error}"));
        let unserved = Unserved::of(Release::of(release));
        let table = RoutingTable::new(&topology, logins).without(&unserved);
        Deployment {
            release: release.to_owned(),
            spec: spec.to_owned(),
            topology,
            logins,
            table,
        }
    }

    /// Whether the named process serves at least one of the rows.
    fn serves(&self, process: &str, rows: &[&Row]) -> bool {
        let media_moved = self.topology.with_role("media_repository").next().is_some();
        let mut workers = self.topology.workers.iter();
        match workers.find(|worker| worker.name == process) {
            Some(worker) => {
                let resources = worker.resources();
                rows.iter().any(|row| row.on_worker(&resources))
            }
            None => process == MAIN && rows.iter().any(|row| row.on_main(media_moved)),
        }
    }

    /// Checks the route of one request against every oracle row that matches it.
    fn check(&self, request: &Request, rows: &[&Row]) {
        let rows: Vec<&Row> = rows
            .iter()
            .copied()
            .filter(|row| row.exists(self.logins))
            .collect();
        let (_, upstream) = self.table.pick(&request.method, &request.path);
        let case = || {
            format!(
                "{}, {:?}, {:?}: {request} -> {upstream:?}",
                self.release, self.spec, self.logins
            )
        };
        if rows.is_empty() {
            assert!(
                [MAIN, MAS].contains(&upstream.name.as_str()),
                "{}: no process serves it",
                case()
            );
            return;
        }
        assert_ne!(upstream.name, MAS, "{}: Synapse serves it", case());
        let rows = rows.as_slice();
        for server in &upstream.servers {
            assert!(
                self.serves(server, rows),
                "{}: not served by {server}",
                case()
            );
        }
        if upstream.fallback_to_main {
            assert!(self.serves(MAIN, rows), "{}: no fallback", case());
        }
        let writers = self.topology.stream_writers();
        for row in rows {
            if let Some(stream) = row.hard_stream() {
                let main = vec![MAIN];
                let expected = writers.get(stream).unwrap_or(&main);
                assert_eq!(upstream.servers, *expected, "{}: not the writers", case());
                assert!(
                    !upstream.fallback_to_main,
                    "{}: main does not write {stream}",
                    case()
                );
            }
            if row.constraint.starts_with("same-instance-per-room") && upstream.name != MAIN {
                assert_eq!(upstream.balance, Balance::Room, "{}", case());
            }
            if row.constraint.starts_with("single-process") {
                assert_eq!(upstream.servers.len(), 1, "{}", case());
                let mut workers = self.topology.with_role("sso_login");
                let expected = workers.next().filter(|_| self.logins == Logins::Synapse);
                let expected = expected.map_or(MAIN, |worker| &worker.name);
                assert_eq!(upstream.servers, [expected], "{}: logins are split", case());
            }
            if row.constraint.starts_with("effectively-main") {
                assert_eq!(upstream.name, MAIN, "{}", case());
            }
        }
    }
}

/// Worker specs that administrators typically write, and edge cases.
fn specs() -> Vec<String> {
    let mut specs: Vec<String> = [
        "",
        "full",
        "small",
        "medium",
        "large",
        "full, frontend_proxy, thread_subscriptions, sso_login, mas_helper",
        "full, synchrotron:2, event_persister:2, receipts, device_lists, media_repository, \
         client_reader:3, event_creator, federation_reader:2, federation_inbound, sliding_sync",
        "receipts:3, device_lists:2, thread_subscriptions:2, media_repository:2",
        "client_reader, a=client_reader:2, b=client_reader+media_repository",
        "streams=typing+to_device+push_rules, clients=client_reader+federation_reader:2",
    ]
    .map(str::to_owned)
    .to_vec();
    let roles: Vec<_> = ROLES.iter().map(|role| role.name.to_owned()).collect();
    specs.push(format!("all={}", roles.join("+")));
    specs.extend(roles);
    specs
}

#[test]
fn every_request_reaches_a_process_that_serves_it() {
    for release in RELEASES {
        let oracle = Oracle::of(release);
        // Every release reads paths alike, so one release shows it for the odd ones.
        let requests = match release == RELEASES[0] {
            true => oracle.requests(),
            false => oracle.examples(),
        };
        assert!(requests.len() > 900, "{} requests", requests.len());
        let requests = oracle.answered(requests);
        for (spec, logins) in specs()
            .iter()
            .flat_map(|spec| LOGINS.map(|logins| (spec, logins)))
        {
            let deployment = Deployment::of(spec, logins, release);
            requests
                .iter()
                .for_each(|(request, rows)| deployment.check(request, rows));
        }
    }
}

#[test]
fn merging_two_roles_misroutes_nothing() {
    let oracle = Oracle::newest();
    let requests = oracle.answered(oracle.examples());
    for (i, a) in ROLES.iter().enumerate() {
        for b in &ROLES[i + 1..] {
            let deployment = Deployment::new(&format!("pair={}+{}", a.name, b.name));
            requests
                .iter()
                .for_each(|(request, rows)| deployment.check(request, rows));
        }
    }
}

#[test]
fn overlapping_paths_reach_the_right_upstream() {
    for line in [
        "full: PUT /_matrix/client/v3/rooms/!r:x/state/m.room.name/ -> event_creator",
        "full: PUT /_matrix/client/v3/rooms/!r/state/m.room.name -> event_creator",
        "full: GET /_matrix/client/v3/rooms/!r:x/state -> client_reader",
        "full: POST /_matrix/client/v3/rooms/!r:x/report/$e -> main",
        "full: POST /_matrix/client/v3/rooms/!r:x/report -> main",
        "full: POST /_matrix/client/v3/rooms/!r:x/upgrade -> main",
        "full: POST /_matrix/client/v3/rooms/!r:x/forget -> main",
        "full: GET /_matrix/client/v3/directory/list/room/!r:x -> main",
        "full: GET /_matrix/client/v3/directory/room/%23a%2Fb%3Ax -> client_reader",
        "full: GET /_matrix/client/v3/account/3pid -> client_reader",
        "full: POST /_matrix/client/v3/account/3pid/add -> main",
        "full: POST /_matrix/client/v3/register -> client_reader",
        "full: POST /_matrix/client/v3/register/email/requestToken -> main",
        "full: GET /_synapse/admin/v2/users/@u:x -> client_reader",
        "full: HEAD /_synapse/admin/v2/users/@u:x -> client_reader",
        "full: PUT /_synapse/admin/v2/users/@u:x -> main",
        "full: GET /_synapse/admin/v1/statistics/users/media -> main",
        "full: POST /_synapse/admin/v1/user/@u:x/redact -> main",
        "full: GET /_matrix/client/v3/user/@u:x/rooms/!r:x/tags -> account_data",
        "full: GET /_matrix/federation/v1/media/download/x -> media_repository",
        "full: GET /_matrix/client/unstable/org.matrix.msc4140/delayed_events/ID -> client_reader",
        "full: POST /_matrix/client/unstable/org.matrix.msc4140/delayed_events/ID -> main",
        "full: GET /_matrix/client/v3/login/sso/redirect/oidc -> main",
        "full, sso_login: GET /_matrix/client/v3/login/sso/redirect/oidc -> sso_login",
        "full, sso_login: GET /_matrix/client/v3/login -> client_reader",
        "client_reader: PUT /_matrix/client/v3/rooms/!r:x/typing/@u:x -> main",
        "client_reader: PUT /_matrix/client/v3/pushrules/global/override/x -> main",
        "client_reader: GET /_matrix/client/v3/pushrules/ -> client_reader",
        "client_reader: POST /_matrix/client/v3/user_directory/search -> client_reader",
        "client_reader: POST /_matrix/client/v3/keys/upload -> client_reader",
        "client_reader, frontend_proxy: POST /_matrix/client/v3/keys/upload -> frontend_proxy",
        "synchrotron: POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync -> synchrotron",
        "full: GET /_matrix/client/v3/rooms/!r/messages?from=x -> client_reader_by_room",
        "full: POST /_matrix/client/v3/logout/all -> main",
        "full: POST /_synapse/mas/provision_user -> main",
    ] {
        let (spec, rest) = line.split_once(": ").unwrap();
        let (request, upstream) = rest.split_once(" -> ").unwrap();
        let (method, path) = request.split_once(' ').unwrap();
        assert_eq!(
            Deployment::new(spec).table.pick(method, path).1.name,
            upstream,
            "{line}"
        );
    }
}

/// The compatibility layer of the Matrix Authentication Service: every version of login, logout and refresh, and what is
/// below them. No other path goes there.
#[test]
fn logins_reach_the_matrix_authentication_service() {
    for spec in specs() {
        let deployment = Deployment::with(&spec, Logins::Mas);
        let upstream = |method, path: &str| deployment.table.pick(method, path).1;
        for version in ["api/v1", "r0", "v1", "v3", "unstable"] {
            for (method, path) in [
                ("GET", "login"),
                ("POST", "login"),
                ("OPTIONS", "login"),
                ("GET", "login/sso/redirect"),
                ("GET", "login/sso/redirect/?redirectUrl=x"),
                ("GET", "login/sso/redirect/oidc"),
                ("POST", "logout"),
                ("POST", "logout/all"),
                ("POST", "refresh"),
            ] {
                let path = format!("/_matrix/client/{version}/{path}");
                let upstream = upstream(method, &path);
                assert_eq!(upstream.name, MAS, "{spec}: {method} {path}");
                assert_eq!(upstream.servers, [MAS], "{spec}");
            }
        }
        for path in [
            "/_matrix/client/v3/login_flows",
            "/_matrix/client/v3/rooms/login",
            "/_matrix/client/unstable/org.matrix.msc3882/login/token",
            "/_matrix/client/v3/register",
            "/_matrix/client/v3/devices/login",
            "/_synapse/mas/provision_user",
        ] {
            assert_ne!(upstream("POST", path).name, MAS, "{spec}: {path}");
        }
        let helper = deployment.topology.with_role("mas_helper").next().is_some();
        let role = if helper { "mas_helper" } else { MAIN };
        assert_eq!(
            upstream("POST", "/_synapse/mas/upsert_device").name,
            role,
            "{spec}"
        );
    }
}

/// No path matches two sets, so the order of the table never decides which process serves a request. Every pattern is
/// necessary.
#[test]
fn every_pattern_is_needed_and_none_overlaps() {
    let oracle = Oracle::newest();
    for logins in LOGINS {
        every_pattern_is_needed(&oracle, logins);
    }
}

fn every_pattern_is_needed(oracle: &Oracle, logins: Logins) {
    let table = Deployment::with("full", logins).table;
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    let expressions: Vec<_> = table
        .routes
        .iter()
        .map(|route| regex::Regex::new(&route.expression()).unwrap())
        .collect();
    for request in oracle.requests() {
        let line = format!("{} {}", request.method, request.raw_path());
        let matching: Vec<_> = (0..expressions.len())
            .filter(|i| expressions[*i].is_match(&line))
            .collect();
        assert!(
            matching.len() < 2,
            "{line} matches {} routes",
            matching.len()
        );
        if let [i] = matching[..] {
            *taken.entry(table.routes[i].pattern).or_default() += 1;
        }
    }
    for route in &table.routes {
        assert!(
            taken.contains_key(route.pattern),
            "{} matches nothing",
            route.pattern
        );
        let (method, path) = route.probe();
        let request = Request {
            method: method.into(),
            path: path.into(),
        };
        let rows = oracle.rows(&request);
        let served = rows.iter().any(|row| row.exists(logins));
        assert_eq!(served, route.upstream != MAS, "{logins:?}: {request}");
    }
}

/// Servlets, beside those of the product's table, that `full` leaves to the main process although a worker registers
/// them, with the reason.
const NOT_OF_FULL: [(&str, &str); 2] = [
    ("SSO", "single sign-on: role sso_login is not in full"),
    (
        "MAS",
        "Matrix Authentication Service: role mas_helper is not in full",
    ),
];

#[test]
fn the_full_preset_offloads_every_servlet_that_workers_serve() {
    let oracle = Oracle::newest();
    let full = Deployment::new("full");
    let excuses = || LEFT_TO_MAIN.iter().chain(&NOT_OF_FULL);
    // The oracle has no servlet of the one, and the path of the other with an option only.
    let others = ["HealthResource", "ProfileFieldRestServlet"];
    let mut unused: BTreeSet<&str> = excuses().map(|(class, _)| *class).collect();
    unused.retain(|class| !others.contains(class));
    for logins in LOGINS {
        let full = Deployment::with("full", logins);
        for row in oracle
            .rows
            .iter()
            .filter(|row| row.worker && row.exists(logins) && !row.needs.contains("experimental"))
        {
            let left = row.requests().any(|request| {
                let upstream = full.table.pick(&request.method, &request.path).1;
                upstream.name == MAIN
            });
            let class = match () {
                () if row.constraint.starts_with("single-process") => "SSO",
                () if row.class.starts_with("Mas") => "MAS",
                () => &row.class,
            };
            if left {
                let excused = excuses().any(|(excused, _)| *excused == class);
                assert!(
                    excused,
                    "{} {} ({class}) goes to main",
                    row.methods.join(","),
                    row.example
                );
                unused.remove(class);
            }
        }
    }
    assert!(unused.is_empty(), "offloaded after all: {unused:?}");
    for path in [
        "versions",
        "v3/capabilities",
        "v3/account/whoami",
        "v3/joined_rooms",
        "v3/profile/@u:x",
        "v3/rooms/!r/members",
    ] {
        let path = format!("/_matrix/client/{path}");
        assert_ne!(full.table.pick("GET", &path).1.name, MAIN, "{path}");
    }
}

#[test]
fn the_answer_of_each_release_leads_to_the_routes_that_the_tables_give_it() {
    assert_eq!(
        compare(&Oracle::newest().endpoints()),
        Differences::default()
    );
    for release in RELEASES {
        let oracle = Oracle::of(release);
        let found = compare(&oracle.endpoints()).unserved;
        let known = Unserved::of(Release::of(release));
        let unknown: Vec<_> = found.iter().filter(|it| !known.contains(it)).collect();
        assert_eq!(unknown, [""; 0], "{release}");
        // What no process serves is in the table only, and `verify` does not ask for it.
        for route in Deployment::of("full", Logins::Synapse, release)
            .table
            .routes
        {
            let (method, path) = route.probe();
            let (method, path) = (method.to_owned(), path.to_owned());
            let served = !oracle.rows(&Request { method, path }).is_empty();
            assert!(
                served || route.needs.is_some(),
                "{release}: {}",
                route.example
            );
        }
    }
    let oldest = compare(&Oracle::of(RELEASES[2]).endpoints()).unserved;
    let only_main = ["delayed_events/[^/]*/restart", "admin/v2/users/[^/]*"];
    for part in only_main {
        assert!(
            oldest.iter().any(|it| it.contains(part)),
            "{part}: {oldest:?}"
        );
    }
}

#[test]
fn advice_names_the_role_that_serves_each_servlet() {
    let full = Deployment::new("full");
    let oracle = Oracle::newest();
    for (class, role) in work::SERVLETS {
        let rows = oracle.rows.iter().filter(|row| row.class == *class);
        let served = rows.flat_map(|row| row.methods.iter().map(|method| (method, &row.example)));
        let roles: BTreeSet<&str> = served
            .filter_map(|(method, path)| Some(full.table.pick(method, path).0?.role))
            .collect();
        assert!(roles.contains(role), "{class}: {role} is not in {roles:?}");
    }
    for (name, role) in work::SERVLETS.iter().chain(work::BACKGROUND) {
        assert!(
            ROLES.iter().any(|known| known.name == *role),
            "{name}: {role}"
        );
    }
}

#[test]
fn the_compared_releases_are_the_oldest_and_the_newest_of_the_tables() {
    let known = [releases::NEWEST, Release(1, 153), releases::OLDEST];
    assert_eq!(RELEASES.map(Release::of), known);
}
