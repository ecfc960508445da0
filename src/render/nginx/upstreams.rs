//! The groups of processes to which nginx sends requests.

use super::super::{Input, sockets};
use super::mas::Mas;
use crate::settings::Settings;
use crate::state::paths;
use crate::topology::{self, Balance, RoutingTable};

/// An `upstream` of nginx.
pub(super) struct Upstream<'a> {
    pub name: &'a str,
    /// The balancing directive; empty for nginx's round robin.
    pub balance: &'static str,
    pub servers: Vec<String>,
    /// Whether systemd opens the sockets of the servers.
    pub held: bool,
    /// The number of idle connections that are kept open. nginx requires this directive after the balancing directive.
    pub keepalive: Option<usize>,
}

/// The upstreams of the routing table.
pub(super) fn of<'t>(
    input: &Input,
    table: &'t RoutingTable,
    mas: Option<&Mas>,
) -> Vec<Upstream<'t>> {
    let endpoints = input.endpoints();
    let held = holds(input);
    let upstream = |upstream: &'t topology::Upstream| {
        let (own, servers) = (upstream.is_synapse(), &upstream.servers);
        let place = |server: &String| match mas {
            Some(mas) if !own => mas.place(),
            _ => endpoints.public(server).upstream(),
        };
        Upstream {
            name: &upstream.name,
            balance: balance(upstream.balance, servers.len()),
            servers: servers.iter().map(place).collect(),
            held: held && own,
            keepalive: keepalive(input, servers.len()).filter(|_| own),
        }
    };
    table.upstreams.iter().map(upstream).collect()
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
        Balance::LeastConnections => "least_conn",
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
