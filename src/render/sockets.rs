//! Socket activation: systemd opens the sockets of Synapse's processes and nginx's ports. While a process restarts,
//! connections to its sockets wait in the kernel.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::deployment::endpoints::Endpoint;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "synapse-main.socket")]
struct Main {
    paths: Vec<String>,
}

#[derive(Template)]
#[template(path = "synapse-worker@.socket")]
struct Worker {
    paths: Vec<String>,
}

#[derive(Template)]
#[template(path = "synapse-hold.service")]
struct Hold {
    sandbox: Sandbox,
    file: &'static str,
}

/// The Unix sockets that systemd opens for a process; empty if it listens on TCP ports.
pub fn of_process(input: &Input, process: &str) -> Vec<String> {
    if !input.settings.sockets.held {
        return Vec::new();
    }
    let endpoints = input.endpoints();
    let replication = input.has_workers().then(|| endpoints.replication(process));
    [Some(endpoints.public(process)), replication]
        .into_iter()
        .flatten()
        .filter_map(|endpoint| match endpoint {
            Endpoint::Socket(path) => Some(path),
            Endpoint::Port(_) => None,
        })
        .collect()
}

/// Whether systemd opens the sockets of Synapse's processes.
pub fn held(input: &Input) -> bool {
    !of_process(input, "main").is_empty()
}

/// The command line of the launcher, which starts Synapse with the sockets that systemd passes, and names users to
/// nginx; `None` if neither is needed.
pub fn launcher(input: &Input) -> Option<String> {
    let drain = input.settings.sockets.drain_timeout.seconds();
    // Not only if nginx asks: otherwise a second process for a role would restart all others.
    let options = [
        held(input).then(|| format!(" --drain {drain}")),
        input
            .settings
            .mas
            .is_on()
            .then(|| " --name-users".to_owned()),
    ];
    let options: String = options.into_iter().flatten().collect();
    (!options.is_empty()).then(|| format!("{}{options}", paths::LAUNCHER))
}

/// The socket units of the desired state.
pub fn wanted(input: &Input) -> BTreeSet<String> {
    let mut units = BTreeSet::new();
    if input.settings.sockets.held {
        units.insert(units::NGINX_SOCKET.to_owned());
    }
    if held(input) {
        let workers = input.topology.workers.iter();
        units.extend(workers.filter_map(|worker| units::socket_of(&units::worker(&worker.name))));
        units.insert(units::MAIN_SOCKET.to_owned());
    }
    units
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    if input.settings.sockets.held {
        let hold = Hold {
            sandbox: builder.sandbox(units::HOLD)?,
            file: paths::HOLD,
        };
        builder.unit(units::HOLD, hold.render()?);
    }
    if held(input) {
        let paths = of_process(input, "main");
        builder.unit(units::MAIN_SOCKET, Main { paths }.render()?);
        if input.has_workers() {
            let paths = of_process(input, "%i");
            builder.unit(units::WORKER_SOCKETS, Worker { paths }.render()?);
        }
    }
    Ok(())
}
