//! The effect of each step on the model, and its preconditions.

use super::watch::view;
use super::{Model, View};
use std::path::Path;
use std::rc::Rc;
use synapse_workers::plan::step::{Move, Step, Verb};
use synapse_workers::state::paths;
use synapse_workers::state::restart_rules::{Effect, PACKAGES, VERSION, host_path, rule_for};
use synapse_workers::state::units;
use synapse_workers::state::{HOST, Resource, State, SynapseVenv, UnitState, digest};

impl Model {
    pub(super) fn step(&mut self, step: &Step, desired: &State) {
        match step {
            Step::InstallPrograms { .. }
            | Step::WriteSettings { .. }
            | Step::RemoveSettings { .. } => {}
            Step::Create(resource) => self.create(resource),
            Step::Rebuild { resource, .. } => {
                assert!(self.resources.contains(resource), "{resource} is missing");
                assert!(self.damaged.remove(resource).is_some());
            }
            Step::Remove(resource) => self.remove(resource),
            Step::Directories => ["synapse", "synapse-nginx"]
                .iter()
                .for_each(|name| assert!(self.has_account(name), "no {name} to own directories")),
            Step::WriteGeneration { number, .. } => {
                let generation = Rc::new(desired.clone());
                let before = self.generations.insert(*number, generation);
                assert!(before.is_none(), "generation {number} was there");
            }
            Step::MoveDatabase { number, part, .. } => {
                assert!(self.generations.contains_key(number));
                let served = self.running.contains_key(units::MAIN);
                assert!(
                    *part == Move::First || !served,
                    "rows may change while they are copied"
                );
            }
            Step::Validate { number, .. } => assert!(self.generations.contains_key(number)),
            Step::Switch { number } => {
                assert!(self.generations.contains_key(number));
                self.current = Some(*number);
                self.switched.push(*number);
            }
            Step::WriteFile { path, .. } => {
                let path = format!("{HOST}{path}");
                let digest = desired.files[&path].digest.clone();
                self.host_files.insert(path, digest);
            }
            Step::RemoveFile { path } => {
                let path = format!("{HOST}{path}");
                assert!(self.host_files.remove(&path).is_some(), "{path} was there");
            }
            Step::ReloadManager => self.loaded = self.host_files.clone(),
            // Enabling and disabling units makes systemd reload all unit files.
            Step::Enable(units) => self.enable(units, true),
            Step::Disable(units) => self.enable(units, false),
            Step::Jobs { verb, units, .. } => {
                assert!(!units.is_empty());
                units.iter().for_each(|unit| self.job(*verb, unit));
            }
            Step::ObtainCertificate(order) => {
                assert!(self.running.contains_key(units::NGINX));
                assert!(self.running.contains_key(units::CERTIFICATE));
                assert!(self.resources.contains(&Resource::Pair));
                self.certificate = Some(order.clone());
            }
            Step::Hold => assert!(self.running.contains_key(units::NGINX_SOCKET)),
            Step::Drain(_) => assert!(self.running.contains_key(units::NGINX)),
            Step::ResetFailed(units) => units
                .iter()
                .for_each(|unit| self.units.get_mut(unit).unwrap().failed = false),
            Step::RemoveSockets(names) => self.sockets.retain(|name| !names.contains(name)),
            Step::Forget => {
                self.generations.clear();
                (self.current, self.applied) = (None, None);
                self.switched.clear();
            }
        }
        self.units.retain(|_, unit| *unit != UnitState::default());
    }

    /// Simulates a run that ends within this step: half of its queued jobs succeed, the others fail.
    pub(super) fn half(&mut self, step: &Step) {
        let Step::Jobs { verb, units, .. } = step else {
            return;
        };
        let (done, failed) = units.split_at(units.len() / 2);
        done.iter().for_each(|unit| self.job(*verb, unit));
        for unit in failed.iter().filter(|_| *verb != Verb::Stop) {
            self.running.remove(unit);
            let state = self.units.entry(unit.clone()).or_default();
            (state.active, state.failed) = (false, true);
        }
    }

    fn create(&mut self, resource: &Resource) {
        match resource {
            Resource::Secret(_) | Resource::Composed(_) => {
                let directory = Resource::Directory(paths::SECRETS.to_owned());
                assert!(self.resources.contains(&directory) && self.has_account("synapse"));
            }
            Resource::Database { owner, .. } => {
                let role = Resource::DatabaseRole(owner.clone());
                assert!(self.resources.contains(&role));
            }
            // The compressor has only one venv: a new version replaces the old one.
            Resource::Compressor(_) => {
                self.resources.retain(|old| !resource.replaces(old));
            }
            _ => {}
        }
        self.stale.remove(resource);
        self.resources.insert(resource.clone());
    }

    fn remove(&mut self, resource: &Resource) {
        match resource {
            Resource::Account(name) => {
                let used = self.running.keys().any(|unit| match name.as_str() {
                    "synapse" => units::is_synapse(unit),
                    other => unit == &format!("{other}.service"),
                });
                assert!(!used, "{name} still has processes");
            }
            Resource::Venv(venv) => {
                assert!(!self.runs(venv), "processes run from the venv of {venv}")
            }
            Resource::Compressor(_) => {
                self.resources.retain(|old| !resource.replaces(old));
            }
            Resource::Directory(path) => {
                let inside = |file: &str| Path::new(file).starts_with(path);
                self.resources
                    .retain(|other| !place(other).is_some_and(|place| inside(&place)));
                if inside(paths::RUN) {
                    self.sockets.clear();
                }
            }
            Resource::DatabaseRole(role) => assert!(
                !self.resources.iter().any(
                    |other| matches!(other, Resource::Database { owner, .. } if owner == role)
                ),
                "{role} still owns a database"
            ),
            _ => {}
        }
        self.resources.remove(resource);
    }

    /// Whether a process runs this release of Synapse.
    fn runs(&self, venv: &SynapseVenv) -> bool {
        let of_text = |text: String| digest(format!("{text}\n").as_bytes());
        let version = of_text(venv.version.clone());
        let packages = (!venv.is_base()).then(|| of_text(venv.requirements().join("\n")));
        let mut running = self.running.values();
        running.any(|view| {
            view.get(VERSION) == Some(&version) && view.get(PACKAGES) == packages.as_ref()
        })
    }

    fn has_account(&self, name: &str) -> bool {
        let owners = [
            Resource::Account(name.to_owned()),
            Resource::Group(name.to_owned()),
        ];
        owners.iter().any(|owner| self.resources.contains(owner))
    }

    fn enable(&mut self, units: &[String], enabled: bool) {
        for unit in units {
            let known = !enabled || self.host_files.contains_key(&unit_file(unit));
            assert!(known || self.lenient, "{unit} has no file");
            self.units.entry(unit.clone()).or_default().enabled = enabled;
        }
        self.loaded = self.host_files.clone();
    }

    fn job(&mut self, verb: Verb, unit: &str) {
        if units::is_postgres(unit) {
            assert_eq!(verb, Verb::Reload, "the administrator's {unit}");
            return;
        }
        let active = self.running.contains_key(unit);
        match verb {
            // This socket has already stopped with its service.
            Verb::Stop if units::is_needed(unit) => self.stop(unit),
            Verb::Stop => {
                assert!(active || self.lenient, "{unit} was not running");
                self.stop(unit);
            }
            Verb::Start if active && self.lenient => {}
            Verb::Start => {
                assert!(!active, "{unit} runs already");
                self.start(unit);
            }
            Verb::Restart => {
                assert!(active || self.lenient, "{unit} was not running");
                self.start(unit);
            }
            Verb::Reload => {
                let now = self.view(unit);
                let reread = |path: &String| rule_for(path).effect == Effect::Reload;
                let seen = self.running.get_mut(unit).unwrap();
                seen.retain(|path, _| !reread(path));
                seen.extend(now.into_iter().filter(|(path, _)| reread(path)));
            }
        }
    }

    /// Stops a unit, and with it the socket that only this unit needs.
    pub(super) fn stop(&mut self, unit: &str) {
        self.running.remove(unit);
        if let Some(state) = self.units.get_mut(unit) {
            state.active = false;
        }
        if let Some(service) = units::served_by(unit) {
            let name = units::worker_of(&service).unwrap_or("main");
            self.sockets.remove(name);
        }
        if let Some(socket) = units::socket_of(unit).filter(|socket| units::is_needed(socket)) {
            self.stop(&socket);
        }
    }

    pub(super) fn start(&mut self, unit: &str) {
        if let Some(service) = units::served_by(unit) {
            assert!(
                !self.running.contains_key(&service),
                "{unit} while its service runs"
            );
        }
        let socket = units::socket_of(unit).filter(|socket| {
            let known = self.loaded.contains_key(&unit_file(socket));
            known && !self.running.contains_key(socket)
        });
        if let Some(socket) = socket {
            // systemd starts the units that a unit requires.
            let held = self.running.remove(unit);
            assert!(held.is_none(), "{unit} has its sockets already");
            self.start(&socket);
        }
        let file = unit_file(unit);
        if self.lenient && !self.host_files.contains_key(&file) {
            return;
        }
        // systemd reads an unknown unit when it starts, and does not read a known unit again.
        if !self.loaded.contains_key(&file) {
            let digest = self.host_files.get(&file);
            let digest = digest.unwrap_or_else(|| panic!("{unit} has no file"));
            self.loaded.insert(file, digest.clone());
        }
        if units::worker_of(unit).is_some() {
            // An external Redis has no unit.
            let wanted = |before: &str| self.host_files.contains_key(&unit_file(before));
            for before in [units::MAIN, units::REDIS] {
                assert!(
                    self.running.contains_key(before) || !wanted(before) || self.lenient,
                    "{unit} before {before} runs"
                );
            }
        }
        if units::is_synapse(unit) {
            let name = units::worker_of(unit).unwrap_or("main");
            self.sockets.insert(name.to_owned());
        }
        if unit == units::TARGET {
            self.start_wanted();
        }
        self.running.insert(unit.to_owned(), self.view(unit));
        let state = self.units.entry(unit.to_owned()).or_default();
        (state.active, state.failed) = (true, false);
    }

    /// systemd starts each enabled unit with the target.
    fn start_wanted(&self) {
        let wanted = self.units.iter().filter(|(_, state)| state.enabled);
        let idle = wanted.filter(|(name, _)| !self.running.contains_key(*name));
        let desired = &self.generations[&self.current.expect("a generation")].units;
        for (name, _) in idle {
            assert!(
                desired.contains(name) || self.lenient,
                "the target starts {name}, which is obsolete"
            );
        }
    }

    /// The configuration that a process reads if it starts now.
    fn view(&self, unit: &str) -> View {
        let state = &self.generations[&self.current.expect("a generation to read")];
        let mut view = view(&state.files, unit);
        for (path, digest) in view.iter_mut().filter(|(path, _)| path.starts_with(HOST)) {
            // A process starts with the unit file that systemd read last.
            *digest = self.loaded.get(path).cloned().unwrap_or_default();
        }
        view
    }
}

/// The unit file of a unit, by its path in a generation.
fn unit_file(unit: &str) -> String {
    let name = units::file_of(unit);
    let path = format!("{HOST}{}/{name}", paths::UNITS);
    assert!(host_path(&path).is_some());
    path
}

/// The path of a resource in the file system.
fn place(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Directory(path) => Some(path.clone()),
        Resource::Venv(venv) => Some(venv.directory()),
        Resource::Compressor(_) => Some(paths::COMPRESSOR.to_owned()),
        Resource::Secret(name) | Resource::Composed(name) => Some(paths::secret(name)),
        Resource::Pair => Some(paths::ACME_PAIR.to_owned()),
        Resource::SigningKey => Some(paths::SIGNING_KEY.to_owned()),
        _ => None,
    }
}
