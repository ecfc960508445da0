//! Warm start: the fork servers, and the drop-ins of the units whose processes are forked from them.
//!
//! A forked process inherits the network access of its fork server, so there is one for each kind of access: the whole
//! network, none, and that to the Matrix Authentication Service alone.

use super::process_unit::{Process, arguments};
use super::sandbox::{Network, Sandbox, WorkerNetwork};
use super::{Input, StateBuilder, filters, network, sockets};
use crate::settings::types::WarmMode;
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeSet;

/// The drop-in of a forked process. Its name sorts before the drop-in that `systemctl edit` creates, which can
/// therefore override it.
const DROP_IN: &str = "50-warm.conf";
/// The smallest number of processes for which [`WarmMode::Auto`] means a fork server: the server itself takes as much
/// memory as two of them save.
const ENOUGH: usize = 4;
/// The role that decodes files from other servers. Forked processes have the same address layout, which helps an
/// attacker who has found it out, so such a process starts plainly.
const MEDIA: &str = "media_repository";

#[derive(Template)]
#[template(path = "synapse-warm@.service")]
struct Server<'a> {
    process: Process<'a>,
    launcher: &'static str,
    /// Below /run.
    directory: &'static str,
    /// Whether processes connect to Redis, with modules that they import only then.
    redis: bool,
    immortal: bool,
    sandbox: Sandbox,
}

#[derive(Template)]
#[template(path = "warm.conf")]
struct Forked<'a> {
    process: &'a Process<'a>,
    warm_start: &'static str,
    socket: String,
    server: String,
    launcher: String,
    module: &'static str,
    configuration: String,
}

/// A process that is forked.
struct Fork<'a> {
    unit: String,
    module: &'static str,
    /// Its own configuration file.
    own: String,
    network: Network,
    input: &'a Input<'a>,
}

impl Fork<'_> {
    /// The instance of the fork server: the venv, and the network access of its processes.
    fn instance(&self) -> String {
        let python = self.input.synapse().python;
        let venv = python.parent().and_then(|bin| bin.parent()?.file_name());
        let name = match venv.and_then(|name| name.to_str()) {
            Some(name) if paths::is_our_python(&python) => name,
            _ => "host",
        };
        let class = match self.network {
            Network::Host => "",
            // A deployment has one address at most that such processes reach.
            Network::Loopback | Network::Only(_) => "-limited",
            Network::None => "-isolated",
        };
        format!("{name}{class}")
    }
}

/// The processes that are forked; none if the setting is off.
fn forks<'a>(input: &'a Input<'a>) -> Vec<Fork<'a>> {
    let workers = &input.topology.workers;
    let enabled = match input.settings.warm.mode {
        WarmMode::Off => false,
        WarmMode::Auto => workers.len() + 1 >= ENOUGH,
        WarmMode::Fork | WarmMode::Immortal => true,
    };
    if !enabled || sockets::launcher(input).is_none() {
        return Vec::new();
    }
    let main = Fork {
        unit: units::MAIN.to_owned(),
        module: "synapse.app.homeserver",
        own: synapse_config::MAIN.to_owned(),
        network: Network::Host,
        input,
    };
    // Without a worker for media, main decodes them.
    let main = input.topology.with_role(MEDIA).next().map(|_| main);
    let workers = workers.iter().filter(|worker| !worker.has(MEDIA));
    let workers = workers.map(|worker| Fork {
        unit: units::worker(&worker.name),
        module: "synapse.app.generic_worker",
        own: synapse_config::of_worker(&worker.name),
        network: network::of_worker(input, worker),
        input,
    });
    main.into_iter().chain(workers).collect()
}

/// The units of the fork servers.
pub(super) fn wanted(input: &Input) -> BTreeSet<String> {
    let forks = forks(input).into_iter();
    forks
        .map(|fork| units::fork_server(&fork.instance()))
        .collect()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let forks = forks(input);
    let Some(launcher) = sockets::launcher(input).filter(|_| !forks.is_empty()) else {
        return Ok(());
    };
    // Limits of memory belong to the units of the processes.
    let process = || Process::new(input, &input.settings.limits.worker_memory.show());
    let server = Server {
        process: process(),
        launcher: paths::LAUNCHER,
        directory: paths::FORK_SERVERS,
        redis: input.has_workers(),
        immortal: input.settings.warm.mode == WarmMode::Immortal,
        sandbox: builder.sandbox(units::WARM)?,
    };
    builder.unit(units::WARM, server.render()?);
    let process = process();
    for fork in forks {
        let instance = fork.instance();
        let server = units::fork_server(&instance);
        if fork.network != Network::Host {
            let file = format!("{}/{}", units::drop_ins(&server), WorkerNetwork::FILE);
            builder.unit(&file, WorkerNetwork::drop_in(fork.network)?);
        }
        let drop_in = Forked {
            process: &process,
            warm_start: paths::WARM_START,
            socket: paths::fork_server_socket(&instance),
            server,
            launcher: launcher.clone(),
            module: fork.module,
            configuration: arguments(&fork.own),
        };
        let file = format!("{}/{DROP_IN}", units::drop_ins(&fork.unit));
        builder.unit(&file, drop_in.render()?);
    }
    Ok(())
}
