//! Warm start: the fork servers, and the drop-ins of the units whose processes are forked from them.

mod class;
pub mod decision;

use super::process_unit::{Process, arguments};
use super::sandbox::{Network, Sandbox, WorkerNetwork};
use super::{Input, StateBuilder, filters, network, sockets};
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use class::Class;
use decision::{Decision, Mode};
use std::collections::BTreeSet;

/// The role that decodes files from other servers. Forked processes have the same address layout, which helps an
/// attacker who has found it out, so such a process starts plainly.
const MEDIA: &str = "media_repository";

/// The drop-in of a fork server with the directory of its class.
const CLASS: &str = "50-class.conf";

/// Where a fork server listens, and what it executes.
struct Start<'a> {
    process: Process<'a>,
    launcher: &'static str,
    class: Class,
    /// Whether processes connect to Redis, with modules that they import only then.
    redis: bool,
    immortal: bool,
}

impl Start<'_> {
    /// The directory of the class, relative to /run.
    fn directory(&self) -> &'static str {
        let directory = self.class.directory();
        directory.strip_prefix("/run/").unwrap_or(directory)
    }
}

#[derive(Template)]
#[template(path = "synapse-warm@.service")]
struct Server<'a> {
    start: Start<'a>,
    sandbox: Sandbox,
}

/// The drop-in of a fork server whose processes have less network access than the unit file gives.
#[derive(Template)]
#[template(path = "warm-class.conf")]
struct OfClass<'a> {
    start: Start<'a>,
}

#[derive(Template)]
#[template(path = "warm.conf")]
struct Forked<'a> {
    process: &'a Process<'a>,
    mode: Mode,
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
    class: Class,
    input: &'a Input<'a>,
}

impl<'a> Fork<'a> {
    /// `None` if a process with this network access starts plainly.
    fn of(
        input: &'a Input<'a>,
        unit: String,
        module: &'static str,
        own: String,
        network: Network,
    ) -> Option<Self> {
        Some(Self {
            class: Class::of(input, network)?,
            unit,
            module,
            own,
            network,
            input,
        })
    }

    /// The instance of the fork server: the venv, and the network access of its processes.
    fn instance(&self) -> String {
        let python = self.input.synapse().python;
        let venv = python.parent().and_then(|bin| bin.parent()?.file_name());
        let name = match venv.and_then(|name| name.to_str()) {
            Some(name) if paths::is_our_python(&python) => name,
            _ => "host",
        };
        format!("{name}{}", self.class.suffix())
    }

    /// The socket of the fork server.
    fn socket(&self) -> String {
        format!("{}/{}/socket", self.class.directory(), self.instance())
    }
}

/// The processes that are forked; none if the setting is off.
fn forks<'a>(input: &'a Input<'a>) -> Vec<Fork<'a>> {
    if !is_on(input) {
        return Vec::new();
    }
    let (unit, own) = (units::MAIN.to_owned(), synapse_config::MAIN.to_owned());
    let main = || Fork::of(input, unit, "synapse.app.homeserver", own, Network::Host);
    // Without a worker for media, main decodes them.
    let main = input.topology.with_role(MEDIA).next().and_then(|_| main());
    let workers = input.workers().filter(|worker| !worker.has(MEDIA));
    let workers = workers.filter_map(|worker| {
        Fork::of(
            input,
            units::worker(&worker.name),
            "synapse.app.generic_worker",
            synapse_config::of_worker(&worker.name),
            network::of_worker(input, worker),
        )
    });
    main.into_iter().chain(workers).collect()
}

/// Whether processes are forked.
fn is_on(input: &Input) -> bool {
    Decision::of(input).mode != Mode::Off
}

/// The units of the fork servers.
pub(super) fn wanted(input: &Input) -> BTreeSet<String> {
    let forks = forks(input).into_iter();
    forks
        .map(|fork| units::fork_server(&fork.instance()))
        .collect()
}

/// The directories of fork servers, which exist before any unit starts; none if no process is forked.
pub(super) fn directories(input: &Input) -> Vec<&'static str> {
    let directories = is_on(input).then(Class::directories);
    directories.into_iter().flatten().collect()
}

/// The directories that a process with this network access must not see.
pub(super) fn hidden(input: &Input, network: Network) -> Vec<&'static str> {
    match is_on(input) {
        true => class::hidden(input, network),
        false => Vec::new(),
    }
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let forks = forks(input);
    let Some(launcher) = sockets::launcher(input).filter(|_| !forks.is_empty()) else {
        return Ok(());
    };
    let mode = Decision::of(input).mode;
    // Limits of memory belong to the units of the processes.
    let process = || Process::new(input, &input.settings.limits.worker_memory.show());
    let start = |class| Start {
        process: process(),
        launcher: paths::LAUNCHER,
        class,
        redis: input.has_workers(),
        immortal: mode == Mode::Immortal,
    };
    let server = Server {
        start: start(Class::Open),
        sandbox: builder.sandbox(units::WARM)?,
    };
    builder.unit(units::WARM, server.render()?);
    let process = process();
    for fork in forks {
        let server = units::fork_server(&fork.instance());
        let in_drop_ins = |unit: &str, file: &str| format!("{}/{file}", units::drop_ins(unit));
        if fork.class != Class::Open {
            let hidden = hidden(input, fork.network);
            let network = WorkerNetwork::drop_in(input, fork.network, hidden)?;
            builder.unit(&in_drop_ins(&server, WorkerNetwork::FILE), network);
            let start = start(fork.class);
            builder.unit(&in_drop_ins(&server, CLASS), OfClass { start }.render()?);
        }
        let drop_in = Forked {
            process: &process,
            mode,
            warm_start: paths::WARM_START,
            socket: fork.socket(),
            server,
            launcher: launcher.clone(),
            module: fork.module,
            configuration: arguments(&fork.own),
        };
        builder.unit(
            &in_drop_ins(&fork.unit, units::WARM_DROP_IN),
            drop_in.render()?,
        );
    }
    Ok(())
}
