//! Renders the desired state from the deployment and the host facts: every file with its contents, every unit, every
//! resource.
//!
//! Rendering is pure and deterministic: the same input gives the same bytes on every machine.

pub mod acme;
pub mod alerts;
mod backup;
pub mod certificate;
pub mod compressor;
pub mod coturn;
mod filters;
mod input;
mod logrotate;
mod logs;
mod mail;
pub mod metrics;
mod network;
pub mod nginx;
pub mod ports;
mod process_unit;
mod processes;
mod redis;
pub mod sandbox;
mod service;
pub mod services;
mod shared;
pub mod sockets;
mod synapse;
pub mod targets;
pub mod trial;
mod unit_files;
pub mod warm;

pub use input::Input;
pub use service::Service;

use crate::deployment::secrets;
use crate::settings::types::DatabaseKind;
use crate::state::accounts;
use crate::state::paths;
use crate::state::ports::BoundPort;
use crate::state::restart_rules::{HOST_NAME, LEFT_OUT, SIZES, Scope, rule_for};
use crate::state::units;
use crate::state::{File, HOST, Resource, State};
use anyhow::Result;
use metrics::Target;
use std::collections::{BTreeMap, BTreeSet};

/// The desired state under construction. Each file records the units that it affects.
struct StateBuilder<'a> {
    input: &'a Input<'a>,
    files: BTreeMap<String, File>,
    /// Directories that settings name, with their owners.
    directories: BTreeMap<String, &'static str>,
    /// The ports that all units bind.
    ports: Vec<BoundPort>,
    /// The targets of Prometheus.
    targets: Vec<Target>,
}

impl StateBuilder<'_> {
    /// Adds a rendered text, with the newline that askama drops at the end of a template.
    fn text(&mut self, path: &str, text: String) {
        self.add(path, format!("{text}\n").into_bytes(), &[]);
    }

    /// Adds Synapse options, except those that the files of an adopted server decide.
    fn options(&mut self, path: &str, text: String) {
        let text = self.input.adopted.without(&text, self.input.database());
        let says = |line: &str| !line.trim().is_empty() && !line.starts_with('#');
        if text.lines().any(says) {
            self.text(path, text);
        }
    }

    /// Adds a unit file.
    fn unit(&mut self, name: &str, text: String) {
        self.text(&format!("host{}/{name}", paths::UNITS), text);
    }

    /// The sandbox of a unit file.
    fn sandbox(&self, unit: &str) -> Result<sandbox::Sandbox> {
        sandbox::of(self.input, &self.ports, unit)
    }

    /// Adds a directory that every account may enter.
    fn directory(&mut self, path: &str, owner: &'static str) {
        self.directories.insert(path.to_owned(), owner);
    }

    /// Adds the template of a composed file.
    fn composed(&mut self, name: &str, text: String) {
        match name.starts_with("synapse.d/") {
            true => self.options(&secrets::template(name), text),
            false => self.text(&secrets::template(name), text),
        }
    }

    /// Adds a file that lists workers, and so affects those of this host.
    fn listing(&mut self, path: &str, text: String, workers: &[&str]) {
        let own: BTreeSet<&str> = self.input.workers().map(|it| it.name.as_str()).collect();
        let own = workers.iter().copied().filter(|name| own.contains(name));
        self.add(path, text.into_bytes(), &own.collect::<Vec<_>>());
    }

    fn add(&mut self, path: &str, contents: Vec<u8>, listed: &[&str]) -> &mut File {
        let affects = self.affects(path, listed);
        self.files
            .entry(path.to_owned())
            .or_insert_with(|| File::new(contents, affects))
    }

    fn affects(&self, path: &str, listed: &[&str]) -> BTreeSet<String> {
        let workers = || {
            self.input
                .workers()
                .map(|worker| units::worker(&worker.name))
        };
        let main = self.input.is_first().then(|| units::MAIN.to_owned());
        let main = main.into_iter();
        match rule_for(path).scope {
            Scope::None => BTreeSet::new(),
            Scope::Main => main.collect(),
            Scope::Synapse => main.chain(workers()).collect(),
            Scope::Image => main
                .chain(workers())
                .chain(warm::wanted(self.input))
                .collect(),
            Scope::UnitFile => {
                let units = self.input.units().iter();
                units
                    .filter(|unit| units::is_of(path, unit))
                    .cloned()
                    .collect()
            }
            Scope::Named => stem(path).map(units::process).into_iter().collect(),
            Scope::Listed { .. } => listed.iter().copied().map(units::worker).collect(),
            Scope::Unit(unit) => [unit.to_owned()].into(),
        }
    }
}

fn stem(path: &str) -> Option<&str> {
    path.rsplit('/').next()?.strip_suffix(".yaml")
}

/// Renders the whole desired state.
///
/// # Errors
/// Fails only if a template cannot be rendered, which is a bug in this program.
pub fn desired(input: &Input) -> Result<State> {
    let mut builder = StateBuilder {
        input,
        files: BTreeMap::new(),
        directories: BTreeMap::new(),
        ports: ports::bound(input),
        targets: targets::all(input),
    };
    synapse::render(&mut builder)?;
    for service in services::wanted(input) {
        (service.render)(&mut builder)?;
    }
    let sizes = input.derived_sizes(input.host_name(), &input.facts.size);
    builder.text(SIZES, sizes);
    if let Some(name) = input.host_name() {
        builder.text(HOST_NAME, name.to_owned());
    }
    if !input.left_out.is_empty() {
        builder.text(LEFT_OUT, input.names_left_out().join("\n"));
    }
    let cluster = input.facts.cluster.as_ref().filter(|_| input.is_first());
    let parameters = cluster.and_then(|it| input.parameters_file(&input.facts.size, it));
    let rules = cluster.and_then(|it| input.rules_file(it));
    for (path, text) in parameters.into_iter().chain(rules) {
        builder.text(&format!("{HOST}{path}"), text);
    }
    sockets::render(&mut builder)?;
    unit_files::render(&mut builder)?;
    warm::render(&mut builder)?;
    let mut resources = resources(input, &builder.files);
    let chosen = builder.directories.into_keys().map(Resource::Directory);
    resources.extend(chosen);
    Ok(State {
        files: builder.files,
        units: input.units().clone(),
        resources,
    })
}

/// The resources of the desired state: everything that must exist besides files and units.
fn resources(input: &Input, files: &BTreeMap<String, File>) -> BTreeSet<Resource> {
    let directory = |path: &str| Resource::Directory(path.to_owned());
    let mut resources: BTreeSet<Resource> = Resource::directories().collect();
    resources.remove(&directory(paths::OPT));
    resources.extend(paths::SHARED.map(directory));
    resources.extend(logs::on_disk(input).then(|| directory(paths::SYNAPSE_LOGS)));
    resources.insert(unit_files::owner(&input.settings));
    if input.adopted.is_empty() {
        resources.extend(input.media_store_path().map(directory));
        // config/key.py: every process reads it, on another host a copy of it.
        resources.insert(Resource::SigningKey);
    }
    if let Some(service) = &input.settings.adopt.service {
        resources.insert(Resource::Stopped(service.to_string()));
        resources.insert(Resource::Disabled(service.to_string()));
    }
    if input.facts.spare_nginx {
        resources.insert(Resource::Stopped(units::DISTRIBUTION_NGINX.to_owned()));
        resources.insert(Resource::Disabled(units::DISTRIBUTION_NGINX.to_owned()));
    }
    let secret = |secret: &secrets::Secret| Resource::Secret(secret.name.to_owned());
    let there = input
        .secrets()
        .filter(|secret| input.has_secret(secret.name));
    resources.extend(there.map(secret));
    let templates = files
        .keys()
        .filter_map(|path| path.strip_prefix("secrets/"));
    resources.extend(templates.map(|name| Resource::Composed(name.to_owned())));
    let accounts = services::wanted(input).filter_map(Service::account);
    resources.extend(accounts.map(|account| Resource::Account(account.name.to_owned())));
    let own = services::wanted(input).flat_map(|service| service.own_directories(input));
    resources.extend(own.map(directory));
    if input.facts.synapse.is_none() {
        resources.insert(directory(paths::OPT));
        resources.insert(Resource::Venv(input.venv()));
    }
    if !input.is_first() {
        return resources;
    }
    if input.settings.tls.acme.is_some() {
        resources.insert(Resource::Pair);
    }
    if metrics::own_postgres_wanted(input) {
        resources.insert(Resource::MonitorRole(
            accounts::POSTGRES_EXPORTER.name.to_owned(),
        ));
    }
    if input.settings.compressor.enabled {
        resources.insert(directory(paths::OPT));
        resources.insert(Resource::Compressor(compressor::VERSION.to_owned()));
    }
    let settings = &input.settings;
    match input.database() {
        DatabaseKind::Local => {
            let (name, owner) = (
                settings.database.name.to_string(),
                settings.database.user.to_string(),
            );
            resources.insert(Resource::DatabaseRole(owner.clone()));
            resources.insert(Resource::Database { name, owner });
            let cluster = input.facts.cluster.iter();
            resources.extend(cluster.flat_map(|cluster| input.opening(cluster)));
        }
        DatabaseKind::External | DatabaseKind::Sqlite | DatabaseKind::Auto => {}
    }
    resources
}
