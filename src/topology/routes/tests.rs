//! The tables of several topologies: what nginx can evaluate, and where requests go.

use super::*;
use crate::topology::parse;

fn table(spec: &str) -> RoutingTable {
    table_with(spec, Logins::Synapse)
}

fn table_with(spec: &str, logins: Logins) -> RoutingTable {
    RoutingTable::new(&Topology::new(parse(&[spec]).unwrap()).unwrap(), logins)
}

#[test]
fn tables_are_fit_for_nginx() {
    for (spec, logins) in [
        "",
        "full",
        "small",
        "large",
        "all=thread_subscriptions+frontend_proxy+mas_helper",
    ]
    .iter()
    .flat_map(|spec| [Logins::Synapse, Logins::Mas].map(|logins| (spec, logins)))
    {
        let table = table_with(spec, logins);
        for route in &table.routes {
            assert!(route.pattern.starts_with("^/"), "{}", route.pattern);
            assert!(
                !route.pattern.contains(['{', '}', ';', '"', '\'', ' ']),
                "{}",
                route.pattern
            );
            let upstream = table
                .upstreams
                .iter()
                .find(|up| up.name == route.upstream)
                .unwrap();
            assert!(!upstream.servers.is_empty());
            let (method, path) = route.probe();
            assert_eq!(table.pick(method, path).0, Some(route), "{}", route.example);
        }
        for up in &table.upstreams {
            assert!(
                up.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            );
            assert_eq!(
                table
                    .upstreams
                    .iter()
                    .filter(|other| other.name == up.name)
                    .count(),
                1
            );
            assert!(
                up.balance != Balance::Single || up.servers.len() == 1,
                "{}",
                up.name
            );
        }
    }
}

#[test]
fn one_role_may_be_balanced_in_two_ways() {
    let table = table("client_reader:2, federation_reader:2");
    let balance = |method, path| {
        let upstream = table.pick(method, path).1;
        assert_eq!(upstream.servers.len(), 2);
        upstream.balance
    };
    assert_eq!(
        balance("GET", "/_matrix/client/v3/joined_rooms"),
        Balance::LeastConnections
    );
    assert_eq!(
        balance("GET", "/_matrix/client/v3/rooms/!r/messages?dir=b"),
        Balance::Room
    );
    assert_eq!(
        balance("GET", "/_matrix/federation/v1/state/!r"),
        Balance::Uri
    );
    assert_eq!(
        balance("PUT", "/_matrix/federation/v1/send/1"),
        Balance::Origin
    );
}

#[test]
fn odd_requests_go_to_main() {
    let table = table("full");
    for (method, path) in [
        ("", ""),
        ("GET", "/"),
        ("GET", "*"),
        ("get", "/_matrix/client/v3/sync"),
        ("GET", "/_matrix/client/v3/SYNC"),
        ("GET", "/x/_matrix/client/v3/sync"),
        ("GET", "/?/_matrix/client/v3/sync"),
    ] {
        assert_eq!(table.pick(method, path).1.name, MAIN, "{method} {path}");
    }
}
