//! The configuration file of each Synapse process: its name and its listeners.

use super::{Input, StateBuilder, filters, logs, metrics, sockets};
use crate::deployment::endpoints::{Endpoint, loopback};
use crate::pyyaml;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use crate::topology::Worker;
use anyhow::Result;
use askama::Template;
use std::net::SocketAddr;

#[derive(Template)]
#[template(path = "synapse/process.yaml")]
struct Process<'a> {
    name: &'a str,
    is_worker: bool,
    media: bool,
    log_config: String,
    listeners: Vec<Listener>,
}

/// A listener of a process (config_documentation.md, `listeners`).
struct Listener {
    kind: &'static str,
    endpoint: Endpoint,
    /// The resources of an HTTP listener.
    resources: Vec<&'static str>,
}

impl Listener {
    fn http(endpoint: Endpoint, resources: Vec<&'static str>) -> Self {
        Self {
            kind: "http",
            endpoint,
            resources,
        }
    }
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    if input.is_first() {
        let mut resources = vec!["client", "federation"];
        if consent(input) {
            resources.push("consent");
        }
        let main = process(input, "main", None, resources);
        builder.text(&format!("synapse/{}", synapse_config::MAIN), main.render()?);
    }
    for worker in input.workers() {
        let resources = worker.resources().into_iter().collect();
        let process = process(input, &worker.name, Some(worker), resources);
        let path = format!("synapse/{}", synapse_config::of_worker(&worker.name));
        builder.text(&path, process.render()?);
    }
    Ok(())
}

/// The listeners of a process. `worker` is `None` for main.
fn listeners(
    input: &Input,
    name: &str,
    worker: Option<&Worker>,
    resources: Vec<&'static str>,
) -> Vec<Listener> {
    let (settings, endpoints) = (&input.settings, input.endpoints());
    let mut resources = resources;
    let over_socket = metrics::over_socket(input);
    if over_socket {
        resources.push("metrics");
    }
    let mut listeners = vec![Listener::http(endpoints.public(name), resources)];
    // systemd opens a replication socket for every worker. Without a listener behind it, connections to it would wait
    // forever.
    let held = sockets::of_process(input, name);
    if endpoints.reached().contains(name) || held.contains(&paths::replication_socket(name)) {
        listeners.push(Listener::http(
            endpoints.replication(name),
            vec!["replication"],
        ));
    }
    let manhole = match worker {
        Some(_) => settings.manhole.workers,
        None => settings.manhole.main,
    };
    for (wanted, kind, port) in [
        (
            settings.metrics.enabled && !over_socket,
            "metrics",
            endpoints.metrics(name),
        ),
        (manhole, "manhole", endpoints.manhole(name)),
    ] {
        if wanted {
            listeners.push(Listener {
                kind,
                endpoint: Endpoint::Port(port),
                resources: Vec::new(),
            });
        }
    }
    listeners
}

/// The TCP ports of all processes of this host, each with the unit that binds it and the setting that changes it.
/// systemd binds those between hosts. On the first host, these have no listener of their own: the launcher serves them
/// like the Unix socket for replication.
pub(super) fn ports(input: &Input) -> Vec<(String, SocketAddr, &'static str)> {
    let main = input.is_first().then_some(("main", None));
    let workers = input
        .workers()
        .map(|worker| (worker.name.as_str(), Some(worker)));
    let all = main.into_iter().chain(workers);
    all.flat_map(|(name, worker)| {
        let unit = units::process(name);
        let listeners = listeners(input, name, worker, Vec::new());
        let listeners = listeners.into_iter().map(|it| (it.kind, it.endpoint));
        let for_others = input.endpoints().replication_for_others(name);
        let all = listeners.chain(for_others.map(|endpoint| ("http", endpoint)));
        all.filter_map(move |(kind, endpoint)| match endpoint {
            Endpoint::Port(port) if kind == "metrics" && unit == units::MAIN => {
                Some((unit.clone(), loopback(port), "metrics.port"))
            }
            Endpoint::Port(port) => Some((unit.clone(), loopback(port), "tcp_ports")),
            Endpoint::Address(address) => {
                units::socket_of(&unit).map(|socket| (socket, address, "tcp_ports"))
            }
            Endpoint::Socket(_) => None,
        })
    })
    .collect()
}

fn process<'a>(
    input: &Input,
    name: &'a str,
    worker: Option<&Worker>,
    resources: Vec<&'static str>,
) -> Process<'a> {
    Process {
        name,
        is_worker: worker.is_some(),
        media: worker.is_some_and(|worker| worker.has("media_repository")),
        log_config: format!("{}/{}", paths::CURRENT, logs::configuration(input, name)),
        listeners: listeners(input, name, worker, resources),
    }
}

/// Whether the administrator's options enable the consent pages, which need their own resource on main.
fn consent(input: &Input) -> bool {
    let files = input
        .homeserver_d
        .values()
        .chain(input.adopted.copies.values());
    files.into_iter().any(|contents| {
        pyyaml::options(contents).is_ok_and(|options| options.mapping.contains_key("user_consent"))
    })
}
