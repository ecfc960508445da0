//! Files of systemd: the units of Synapse's processes, accounts, directories.

use super::process_unit::{Process, arguments};
use super::sandbox::{Network, Sandbox, WorkerNetwork};
use super::services;
use super::{Input, Service, StateBuilder, filters, logs, network, sockets, warm};
use crate::settings::Settings;
use crate::settings::value::Scalar;
use crate::state::Resource;
use crate::state::accounts::Account;
use crate::state::paths::{self, SYSUSERS, TMPFILES};
use crate::state::synapse_config;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Template)]
#[template(path = "synapse-workers.target")]
struct Target<'a> {
    server_name: &'a str,
}

/// The drop-in with the limits that follow from the size of the host.
const SIZE: &str = "40-size.conf";

#[derive(Template)]
#[template(path = "size.conf")]
struct Size {
    memory_high: String,
    log_burst: u32,
}

#[derive(Template)]
#[template(path = "synapse-main.service")]
struct Main<'a> {
    process: Process<'a>,
    own: String,
    configuration: String,
    sandbox: Sandbox,
}

#[derive(Template)]
#[template(path = "synapse-worker@.service")]
struct Worker<'a> {
    process: Process<'a>,
    own: String,
    configuration: String,
    sandbox: Sandbox,
}

#[derive(Template)]
#[template(path = "host/sysusers.conf")]
struct Sysusers {
    /// The lines of sysusers.d for Synapse's account.
    synapse: Vec<String>,
    accounts: Vec<Account>,
}

#[derive(Template)]
#[template(path = "host/tmpfiles.conf")]
struct Tmpfiles<'a> {
    user: &'a str,
    media_store_path: Option<&'a str>,
    logs: Option<&'a str>,
    /// Whether processes listen on Unix sockets.
    sockets: bool,
    workers: bool,
    /// The directories of fork servers.
    fork_servers: Vec<&'static str>,
    directories: Vec<&'static str>,
    /// Directories that settings name, with their owners.
    chosen: &'a BTreeMap<String, &'static str>,
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let settings = &input.settings;
    let server_name = settings.server_name.as_str();
    builder.unit(units::TARGET, Target { server_name }.render()?);
    let configuration = |own: &str| (format!("{}/{own}", paths::OPTIONS), arguments(own));
    let sizes = input.sizes();
    let size = Size {
        memory_high: sizes.memory_high,
        log_burst: sizes.log_burst,
    };
    let size = size.render()?;
    let in_drop_ins = |unit: &str| format!("{}/{SIZE}", units::drop_ins(unit));
    if input.is_first() {
        let (own, options) = configuration(synapse_config::MAIN);
        let main = Main {
            own,
            configuration: options,
            process: Process::new(input, &settings.limits.main_memory.show()),
            sandbox: builder.sandbox(units::MAIN)?,
        };
        builder.unit(units::MAIN, main.render()?);
        builder.unit(&in_drop_ins(units::MAIN), size.clone());
    }
    if input.has_workers() {
        builder.unit(&in_drop_ins(units::WORKERS), size);
        let (own, options) = configuration(&synapse_config::of_worker("%i"));
        let worker = Worker {
            own,
            configuration: options,
            process: Process::new(input, &settings.limits.worker_memory.show()),
            sandbox: builder.sandbox(units::WORKERS)?,
        };
        builder.unit(units::WORKERS, worker.render()?);
    }
    for worker in input.workers() {
        let access = network::of_worker(input, worker);
        if access != Network::Host {
            let unit = units::worker(&worker.name);
            let file = format!("{}/{}", units::drop_ins(&unit), WorkerNetwork::FILE);
            let hidden = warm::hidden(input, access);
            builder.unit(&file, WorkerNetwork::drop_in(input, access, hidden)?);
        }
    }
    let sysusers = Sysusers {
        synapse: account(settings),
        accounts: services::wanted(input)
            .filter_map(Service::account)
            .collect(),
    };
    builder.text(SYSUSERS, sysusers.render()?);
    let tmpfiles = Tmpfiles {
        user: settings.synapse.user.as_str(),
        logs: logs::on_disk(input).then_some(paths::SYNAPSE_LOGS),
        // The media store of an adopted server keeps its ownership and permissions.
        media_store_path: input
            .media_store_path()
            .filter(|_| input.adopted.is_empty()),
        sockets: input.is_first(),
        workers: input.has_workers(),
        fork_servers: warm::directories(input),
        directories: services::wanted(input)
            .flat_map(|service| (service.directories)(input))
            .copied()
            .collect(),
        chosen: &builder.directories,
    };
    let tmpfiles = tmpfiles.render()?;
    builder.text(TMPFILES, tmpfiles);
    Ok(())
}

/// The account that owns Synapse's data and reads its secrets: this program's user with its group, or only the group if
/// the settings name another user.
pub(super) fn owner(settings: &Settings) -> Resource {
    match settings.synapse.user.as_str() == paths::GROUP {
        true => Resource::Account(paths::GROUP.to_owned()),
        false => Resource::Group(paths::GROUP.to_owned()),
    }
}

/// The lines of sysusers.d for the account of Synapse.
fn account(settings: &Settings) -> Vec<String> {
    let number = |id: Option<u32>| id.map_or("-".to_owned(), |id| id.to_string());
    let uid = settings.synapse.uid.map(|uid| uid.get());
    let gid = settings.synapse.gid.map(|gid| gid.get());
    let made = matches!(owner(settings), Resource::Account(_));
    let group = paths::GROUP;
    let mut lines = Vec::new();
    if gid.is_some() || !made {
        lines.push(format!("g {group} {}", number(gid)));
    }
    if made {
        let own = if gid.is_some() { ":synapse" } else { "" };
        let id = number(uid);
        lines.push(format!(
            r#"u {group} {id}{own} "Synapse homeserver" {}"#,
            paths::DATA
        ));
    }
    lines
}

/// The units that are enabled and running in the desired state.
pub fn wanted(input: &Input) -> BTreeSet<String> {
    let workers = input.workers();
    let mut units: BTreeSet<String> = workers.map(|worker| units::worker(&worker.name)).collect();
    units.extend(sockets::wanted(input));
    units.extend(warm::wanted(input));
    units.insert(units::TARGET.to_owned());
    units.extend(input.is_first().then(|| units::MAIN.to_owned()));
    units.extend(services::wanted(input).map(|service| service.unit.to_owned()));
    units
}
