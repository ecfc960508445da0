//! nginx: the routing table as a map over method and raw path, and an upstream for each group of processes.

use super::{Input, Sheaf, filters};
use crate::endpoints::{Endpoint, ServicePort};
use crate::paths;
use crate::plan::names;
use crate::settings::Settings;
use crate::settings::types::Port;
use crate::settings::value::Scalar;
use crate::topology::{Balance, RoutingTable};
use anyhow::Result;
use askama::Template;
use std::net::IpAddr;

#[derive(Template)]
#[template(path = "nginx/nginx.conf")]
struct Nginx<'a> {
    settings: &'a Settings,
    routes: Vec<Route<'a>>,
    upstreams: Vec<Upstream<'a>>,
    listens: Vec<String>,
    metrics: Option<Metrics>,
}

/// What is counted, and where it is told.
struct Metrics {
    access_log: &'static str,
    status_port: u16,
    /// The processes that nginx reaches over TCP; a socket tells the name itself.
    ports: Vec<Process>,
}

/// A process by its port.
struct Process {
    port: u16,
    name: String,
}

#[derive(Template)]
#[template(path = "synapse-nginx.service")]
struct Unit<'a> {
    current: &'a str,
}

/// A line of the map: matched against `METHOD /raw/path`.
struct Route<'a> {
    condition: String,
    upstream: &'a str,
}

struct Upstream<'a> {
    name: &'a str,
    /// The balancing directive, empty for nginx's round robin.
    balance: &'static str,
    servers: Vec<String>,
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let settings = sheaf.input.settings;
    let table = RoutingTable::new(sheaf.input.topology);
    let endpoints = sheaf.input.endpoints();
    let nginx = Nginx {
        settings,
        routes: table
            .routes
            .iter()
            .map(|route| Route {
                condition: format!("~{}", route.expression()),
                upstream: &route.upstream,
            })
            .collect(),
        upstreams: table
            .upstreams
            .iter()
            .map(|upstream| Upstream {
                name: &upstream.name,
                balance: balance(upstream.balance, upstream.servers.len()),
                servers: upstream
                    .servers
                    .iter()
                    .map(|server| endpoints.public(server).upstream())
                    .collect(),
            })
            .collect(),
        listens: settings
            .bind_addresses
            .iter()
            .map(|address| listen(*address, settings.http_port))
            .collect(),
        metrics: settings.metrics.enabled.then(|| metrics(sheaf.input)),
    };
    sheaf.text("nginx/nginx.conf", nginx.render()?);
    let unit = Unit {
        current: paths::CURRENT,
    };
    sheaf.unit(names::NGINX, unit.render()?);
    Ok(())
}

fn metrics(input: &Input) -> Metrics {
    let endpoints = input.endpoints();
    let port = |name: &str| match endpoints.public(name) {
        Endpoint::Port(port) => Some(Process {
            port,
            name: name.to_owned(),
        }),
        Endpoint::Socket(_) => None,
    };
    let workers = input.topology.workers.iter();
    let names = workers.map(|worker| worker.name.as_str());
    Metrics {
        access_log: paths::ACCESS_LOG,
        status_port: endpoints.service(ServicePort::NginxStatus),
        ports: names.chain(["main"]).filter_map(port).collect(),
    }
}

/// `consistent`, so that scaling moves few keys. A single server needs no choice.
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

fn listen(address: IpAddr, port: Port) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{}", port.number()),
        IpAddr::V6(address) => format!("[{address}]:{} ipv6only=on", port.number()),
    }
}
