//! Warm start: the fork servers, and the drop-ins of the units whose processes are forked from them.

mod class;
pub mod decision;

use super::process_unit::{Process, arguments};
use super::sandbox::{Network, Sandbox};
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

#[derive(Template)]
#[template(path = "synapse-warm@.service")]
struct Server<'a> {
    process: Process<'a>,
    launcher: &'static str,
    /// Whether processes connect to Redis, with modules that they import only then.
    redis: bool,
    immortal: bool,
    /// Whether some processes have no network access.
    isolates: bool,
    /// The directories that these must not see.
    hidden: Vec<&'static str>,
    /// The system calls that it makes for their namespaces.
    calls: String,
    sandbox: Sandbox,
}

impl Server<'_> {
    /// The directories of its sockets, relative to /run.
    fn directories(&self) -> impl Iterator<Item = &'static str> {
        let classes = Class::all().filter(|class| self.isolates || *class == Class::Open);
        let directories = classes.map(Class::directory);
        directories.map(|directory| directory.strip_prefix("/run/").unwrap_or(directory))
    }
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
            input,
        })
    }

    /// The instance of the fork server: the venv.
    fn instance(&self) -> String {
        let python = self.input.synapse().python;
        let venv = python.parent().and_then(|bin| bin.parent()?.file_name());
        match venv.and_then(|name| name.to_str()) {
            Some(name) if paths::is_our_python(&python) => name.to_owned(),
            _ => "host".to_owned(),
        }
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
    let classes = is_on(input).then(Class::all);
    let classes = classes.into_iter().flatten();
    classes.map(Class::directory).collect()
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
    let isolates = forks.iter().any(|fork| fork.class == Class::Isolated);
    let server = Server {
        process: process(),
        launcher: paths::LAUNCHER,
        redis: input.has_workers(),
        immortal: mode == Mode::Immortal,
        isolates,
        hidden: hidden(input, Network::None),
        calls: units::CALLS_FOR_NAMESPACES.join(" "),
        sandbox: builder.sandbox(units::WARM)?,
    };
    builder.unit(units::WARM, server.render()?);
    let process = process();
    for fork in forks {
        let server = units::fork_server(&fork.instance());
        let in_drop_ins = |unit: &str, file: &str| format!("{}/{file}", units::drop_ins(unit));
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
