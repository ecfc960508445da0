//! Socket activation: systemd opens the sockets of Synapse's processes and nginx's ports. While a process restarts,
//! connections to its sockets wait in the kernel. Processes of the first host reach each other over Unix sockets, all
//! others over ports.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::deployment::endpoints::Endpoint;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

#[derive(Template)]
#[template(path = "synapse-main.socket")]
struct Main {
    held: Held,
}

#[derive(Template)]
#[template(path = "synapse-worker@.socket")]
struct Worker {
    held: Held,
}

/// The sockets that systemd opens for a process.
struct Held {
    /// Paths, and ports on the address of this host.
    places: Vec<String>,
    /// The addresses of all hosts, the only ones from which packets reach a port; empty if there is one host.
    hosts: Vec<IpAddr>,
}

/// The ports of one worker, as a drop-in for the unit file that all workers share.
#[derive(Template)]
#[template(path = "worker-address.conf")]
struct Ports {
    places: Vec<String>,
}

/// The name of that drop-in.
const PORTS: &str = "50-address.conf";

#[derive(Template)]
#[template(path = "synapse-hold.service")]
struct Hold {
    sandbox: Sandbox,
    file: &'static str,
}

/// The Unix sockets that systemd opens for a process of this host; empty if it listens on TCP ports.
pub fn of_process(input: &Input, process: &str) -> Vec<String> {
    if !input.settings.sockets.held || !input.is_first() {
        return Vec::new();
    }
    let endpoints = input.endpoints();
    let replication = input.has_workers().then(|| endpoints.replication(process));
    [Some(endpoints.public(process)), replication]
        .into_iter()
        .flatten()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Socket(path) => Some(path),
            Endpoint::Port(_) | Endpoint::Address(_) => None,
        })
        .collect()
}

/// The ports that systemd opens for a process of this host: for other hosts and, on another host than the first, for
/// all requests.
fn ports(input: &Input, process: &str) -> Vec<String> {
    let endpoints = input.endpoints();
    let of_others = || {
        let reached = endpoints.reached().contains(process);
        let replication = reached.then(|| endpoints.replication(process));
        [Some(endpoints.public(process)), replication]
    };
    let ports = match input.is_first() {
        true => [endpoints.replication_for_others(process), None],
        false => of_others(),
    };
    ports
        .into_iter()
        .flatten()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Address(address) => Some(address.to_string()),
            Endpoint::Port(_) | Endpoint::Socket(_) => None,
        })
        .collect()
}

/// Whether systemd opens the sockets of Synapse's processes.
pub fn held(input: &Input) -> bool {
    input.has_other_hosts() || !of_process(input, "main").is_empty()
}

/// The command line of the launcher, which starts Synapse with the sockets that systemd passes, and names users to
/// nginx; `None` if neither is needed.
pub fn launcher(input: &Input) -> Option<String> {
    let drain = input.settings.sockets.drain_timeout.seconds();
    let (first, last) = input.endpoints().replication_ports();
    // Not only if nginx asks: otherwise a second process for a role would restart all others.
    let options = [
        held(input).then(|| format!(" --drain {drain}")),
        input
            .has_other_hosts()
            .then(|| format!(" --internal-ports {first}-{last}")),
        main_from_another_host(input).map(|main| format!(" --first-host {main}")),
        input
            .settings
            .mas
            .is_on()
            .then(|| " --name-users".to_owned()),
    ];
    let options: String = options.into_iter().flatten().collect();
    (!options.is_empty()).then(|| format!("{}{options}", paths::LAUNCHER))
}

/// The port at which another host than the first reaches main. It drops packets from a host that is left out.
fn main_from_another_host(input: &Input) -> Option<SocketAddr> {
    match input.endpoints().replication("main") {
        Endpoint::Address(address) if !input.is_first() => Some(address),
        _ => None,
    }
}

/// The socket units of the desired state.
pub fn wanted(input: &Input) -> BTreeSet<String> {
    let mut units = BTreeSet::new();
    if input.settings.sockets.held && input.is_first() {
        units.insert(units::NGINX_SOCKET.to_owned());
    }
    if held(input) {
        let workers = input.workers();
        units.extend(workers.filter_map(|worker| units::socket_of(&units::worker(&worker.name))));
        units.extend(input.is_first().then(|| units::MAIN_SOCKET.to_owned()));
    }
    units
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    if input.settings.sockets.held && input.is_first() {
        let hold = Hold {
            sandbox: builder.sandbox(units::HOLD)?,
            file: paths::HOLD,
        };
        builder.unit(units::HOLD, hold.render()?);
    }
    if !held(input) {
        return Ok(());
    }
    let opened = |places: Vec<String>| Held {
        places,
        hosts: input.cluster_addresses(),
    };
    if input.is_first() {
        let held = opened([of_process(input, "main"), ports(input, "main")].concat());
        builder.unit(units::MAIN_SOCKET, Main { held }.render()?);
    }
    if input.has_workers() {
        let held = opened(of_process(input, "%i"));
        builder.unit(units::WORKER_SOCKETS, Worker { held }.render()?);
    }
    for worker in input.workers() {
        let places = ports(input, &worker.name);
        let socket = units::socket_of(&units::worker(&worker.name));
        if let Some(socket) = socket.filter(|_| !places.is_empty()) {
            let file = format!("{}/{PORTS}", units::drop_ins(&socket));
            builder.unit(&file, Ports { places }.render()?);
        }
    }
    Ok(())
}
