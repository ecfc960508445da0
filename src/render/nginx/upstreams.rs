//! The groups of processes to which nginx sends requests.

use super::super::{Input, sockets};
use super::mas::Mas;
use crate::deployment::endpoints::Endpoint;
use crate::settings::Settings;
use crate::state::paths;
use crate::topology::routes::MAIN;
use crate::topology::{self, Balance, RoutingTable};

/// An `upstream` of nginx.
pub(super) struct Upstream<'a> {
    pub name: &'a str,
    /// The balancing directive; empty for nginx's round robin.
    pub balance: &'static str,
    pub servers: Vec<Server>,
    /// The servers that are listed after the others.
    pub more: Option<More>,
    /// The number of idle connections that are kept open. nginx requires this directive after the balancing directive.
    pub keepalive: Option<usize>,
}

/// A `server` of an upstream.
pub(super) struct Server {
    /// Its address.
    pub place: String,
    pub parameters: &'static str,
}

/// Servers that an upstream has besides one for each process.
pub(super) struct More {
    /// Why they are listed.
    pub reason: &'static str,
    pub servers: Vec<Server>,
}

/// The upstreams of the routing table.
pub(super) fn of<'t>(
    input: &Input,
    table: &'t RoutingTable,
    mas: Option<&Mas>,
) -> Vec<Upstream<'t>> {
    let endpoints = input.endpoints();
    let upstream = |upstream: &'t topology::Upstream| {
        let own = upstream.is_synapse();
        let places: Vec<Endpoint> = match own {
            true => upstream
                .servers
                .iter()
                .map(|name| endpoints.public(name))
                .collect(),
            false => Vec::new(),
        };
        let balance = balance(upstream.balance, places.len());
        let servers = match mas {
            Some(mas) if !own => vec![Server::new(mas.place(), ALWAYS)],
            _ => places.iter().map(|place| server(place, balance)).collect(),
        };
        Upstream {
            name: &upstream.name,
            balance,
            servers,
            more: more(input, upstream, &places),
            keepalive: keepalive(input, places.len()).filter(|_| own),
        }
    };
    table.upstreams.iter().map(upstream).collect()
}

/// The parameters of a server on this host, which always gets the next request.
const ALWAYS: &str = "max_fails=0";

/// The parameters of a server on another host. If it cannot be reached, others get its requests for two seconds.
const REMOTE: &str = "max_fails=1 fail_timeout=2s";

/// The balancing directive by connections.
const LEAST_CONNECTIONS: &str = "least_conn";

impl Server {
    fn new(place: String, parameters: &'static str) -> Self {
        Self { place, parameters }
    }
}

/// The server for a process. By connections, a server on this host counts twice because it is listed twice, so one on
/// another host has twice the weight.
fn server(place: &Endpoint, balance: &str) -> Server {
    let parameters = match (place, balance) {
        (Endpoint::Address(_), LEAST_CONNECTIONS) => "weight=2 max_fails=1 fail_timeout=2s",
        (Endpoint::Address(_), _) => REMOTE,
        (Endpoint::Socket(_) | Endpoint::Port(_), _) => ALWAYS,
    };
    Server::new(place.upstream(), parameters)
}

/// The servers to list again. Those on other hosts are listed once, because each attempt at a host that is down takes
/// two seconds. `backup` cannot be used beside `hash`, which an upstream with several servers may have.
fn more(input: &Input, upstream: &topology::Upstream, places: &[Endpoint]) -> Option<More> {
    let (parameters, remote) = match places {
        [place] => ("max_fails=0 backup", matches!(place, Endpoint::Address(_))),
        _ => (ALWAYS, false),
    };
    if remote {
        return Some(match upstream.fallback_to_main {
            true => More {
                reason: "nginx never leaves out the only server of an upstream. While its host is down, main answers.",
                servers: vec![Server::new(
                    input.endpoints().public(MAIN).upstream(),
                    parameters,
                )],
            },
            false => More {
                reason: "A request that was cut by a stopping process is repeated with its successor.",
                servers: vec![Server::new(
                    places[0].upstream(),
                    "max_fails=1 fail_timeout=2s backup",
                )],
            },
        });
    }
    let here = places
        .iter()
        .filter(|place| matches!(place, Endpoint::Socket(_)));
    let servers: Vec<Server> = here
        .filter(|_| holds(input))
        .map(|place| Server::new(place.upstream(), parameters))
        .collect();
    (!servers.is_empty()).then_some(More {
        reason: match servers.len() == places.len() {
            true => {
                "Each server is listed twice, so that a request that was cut by a stopping process is repeated with its successor."
            }
            false => {
                "Each server on this host is listed twice, so that a request that was cut by a stopping process is repeated."
            }
        },
        servers,
    })
}

/// The names of upstreams for which main can answer instead, as alternatives of a regular expression. Empty if bodies
/// are not buffered, because nginx cannot resend the part of a body that it has passed on.
pub(super) fn with_fallback(settings: &Settings, table: &RoutingTable) -> String {
    let buffered = settings.nginx.proxy_request_buffering;
    let upstreams = table.upstreams.iter();
    let upstreams = upstreams.filter(|upstream| upstream.fallback_to_main && buffered);
    let names: Vec<&str> = upstreams.map(|upstream| upstream.name.as_str()).collect();
    names.join("|")
}

/// The balancing directive. `consistent` limits how many keys move when the number of workers changes. A single server
/// needs no balancing.
fn balance(balance: Balance, servers: usize) -> &'static str {
    if servers < 2 {
        return "";
    }
    match balance {
        Balance::User => "hash $synapse_user consistent",
        Balance::Room => "hash $synapse_room consistent",
        Balance::Origin => "hash $remote_addr consistent",
        Balance::Uri => "hash $synapse_path consistent",
        Balance::LeastConnections => LEAST_CONNECTIONS,
        Balance::Single => "",
    }
}

/// The number of kept connections: two per server, times the multiplier in the settings (README of the Docker image,
/// "Upstream Keep-alives"). There are none to sockets that systemd opens, because a request on a kept connection could
/// reach a process that is stopping.
fn keepalive(input: &Input, servers: usize) -> Option<usize> {
    let settings = &input.settings;
    let multiplier = settings.nginx.upstream_keepalive_multiplier.get();
    let connections = servers * 2 * usize::try_from(multiplier).unwrap_or(1);
    (settings.nginx.upstream_keepalive && !holds(input)).then_some(connections)
}

/// Whether systemd opens the sockets to which nginx sends requests.
pub(super) fn holds(input: &Input) -> bool {
    sockets::of_process(input, "main").contains(&paths::public_socket("main"))
}
