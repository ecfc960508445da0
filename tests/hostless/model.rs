//! A host in memory: what each step of a plan does to files, units, resources and to what processes run with.
//!
//! It also watches: a step that could not be done on a real host, or after which two processes would disagree on who
//! does what, fails the test at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use synapse_workers::converge::names;
use synapse_workers::converge::plan::{Plan, Removal, Target};
use synapse_workers::converge::rules::{Change, Scope, When, host_path, rule_for};
use synapse_workers::converge::state::{Files, HOST, Observed, Resource, State, UnitState};
use synapse_workers::converge::step::{Step, Verb};
use synapse_workers::paths;

/// What a process has read, by path: digests of what it goes by.
type View = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
pub struct Model {
    generations: BTreeMap<u32, State>,
    current: Option<u32>,
    applied: Option<u32>,
    /// Generations switched to since one was applied to its end.
    switched: Vec<u32>,
    /// Our files outside of generations, by their path in one.
    host_files: BTreeMap<String, String>,
    /// The same, as systemd last read them.
    loaded: BTreeMap<String, String>,
    pub units: BTreeMap<String, UnitState>,
    running: BTreeMap<String, View>,
    pub resources: BTreeSet<Resource>,
    pub made: BTreeSet<Resource>,
    /// Made by the run that is under way.
    made_now: BTreeSet<Resource>,
    sockets: BTreeSet<String>,
}

/// How far a run gets.
#[derive(Clone, Copy, Debug)]
pub enum End {
    Done,
    /// Cut before the step of this number; the number after the last is a verification that fails.
    Before(usize),
    /// Cut within it: half of the units of a job are done, the others failed.
    Within(usize),
}

impl Model {
    /// A host on which this state was installed, said without any plan.
    pub fn running(state: &State) -> Self {
        let host_files: BTreeMap<String, String> = digests(&state.files)
            .into_iter()
            .filter(|(path, _)| path.starts_with(HOST))
            .collect();
        let mut model = Self {
            generations: [(1, state.clone())].into(),
            current: Some(1),
            applied: Some(1),
            loaded: host_files.clone(),
            host_files,
            resources: state.resources.clone(),
            made: state.resources.clone(),
            ..Self::default()
        };
        for unit in &state.units {
            model.start(unit);
            model.units.get_mut(unit).unwrap().enabled = true;
        }
        model
    }

    /// A process ended, and systemd gave up on it.
    pub fn crash(&mut self, unit: &str) {
        self.running.remove(unit);
        let state = self.units.get_mut(unit).unwrap();
        (state.active, state.failed) = (false, true);
    }

    /// As the host's own `observe`.
    pub fn observe(&self, desired: &State) -> Observed {
        let mut numbers: Vec<u32> = self.applied.into_iter().collect();
        numbers.extend(&self.switched);
        numbers.extend(self.current);
        let mut baselines: Vec<Files> = numbers
            .iter()
            .map(|number| self.generations[number].files.clone())
            .collect();
        if self.applied.is_none() && self.current.is_some() {
            baselines.insert(0, Files::new());
        }
        let places: BTreeSet<&String> = baselines
            .iter()
            .chain([&desired.files])
            .flat_map(|files| files.keys())
            .collect();
        let candidates: BTreeSet<Resource> = Resource::own()
            .chain(desired.resources.union(&self.made).cloned())
            .collect();
        Observed {
            host_files: self
                .host_files
                .iter()
                .filter(|(path, _)| places.contains(path))
                .map(|(path, digest)| (path.clone(), digest.clone()))
                .collect(),
            units: self.units.clone(),
            resources: candidates.intersection(&self.resources).cloned().collect(),
            current: self.current,
            applied: self.applied,
            next: self.generations.keys().last().map_or(1, |last| last + 1),
            made: self.made.clone(),
            sockets: self.sockets.clone(),
            baselines,
        }
    }

    /// One run towards a state that is rendered now, up to `end`; the plan that it had.
    pub fn run(&mut self, desired: &State, end: End) -> Plan {
        self.towards(desired, Target::Rendered, Removal::Keep, end)
    }

    /// One run of any kind.
    pub fn towards(&mut self, to: &State, target: Target, removal: Removal, end: End) -> Plan {
        self.made_now.clear();
        let plan = Plan::between(to, &self.observe(to), target, removal);
        self.apply(&plan, to, end);
        plan
    }

    /// The way back after a run that failed, as `converge` takes it.
    pub fn undo(&mut self, end: End) -> Plan {
        let (before, target) = match self.applied {
            Some(number) => (
                self.generations[&number].clone(),
                Target::Generation(number),
            ),
            None => (State::default(), Target::Nothing),
        };
        let mut observed = self.observe(&before);
        observed.resources.extend(self.made_now.iter().cloned());
        observed.made = std::mem::take(&mut self.made_now);
        let plan = Plan::between(&before, &observed, target, Removal::Undo);
        self.apply(&plan, &before, end);
        plan
    }

    fn apply(&mut self, plan: &Plan, desired: &State, end: End) {
        for (number, step) in plan.steps.iter().enumerate() {
            match end {
                End::Before(cut) if cut == number => return,
                End::Within(cut) if cut == number => return self.half(step),
                _ => self.step(step, desired),
            }
            self.agree();
        }
        if matches!(end, End::Before(cut) if cut == plan.steps.len()) {
            return;
        }
        if let Some(number) = plan.generation {
            self.applied = Some(number);
            self.switched.clear();
        }
    }

    fn step(&mut self, step: &Step, desired: &State) {
        match step {
            Step::WriteSettings { .. } | Step::RemoveSettings { .. } => {}
            Step::Create(resource) => self.create(resource),
            Step::Remove(resource) => self.remove(resource),
            Step::Directories => ["synapse", "synapse-nginx"]
                .iter()
                .for_each(|name| assert!(self.has_account(name), "no {name} to own directories")),
            Step::WriteGeneration { number, .. } => {
                let before = self.generations.insert(*number, desired.clone());
                assert!(before.is_none(), "generation {number} was there");
            }
            Step::Judge { number, .. } => assert!(self.generations.contains_key(number)),
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
            // Both have systemd read unit files anew.
            Step::Enable(units) => self.enable(units, true),
            Step::Disable(units) => self.enable(units, false),
            Step::Jobs { verb, units, .. } => {
                assert!(!units.is_empty());
                units.iter().for_each(|unit| self.job(*verb, unit));
            }
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

    /// Jobs that were queued when the run ended: half of them come to a good end.
    fn half(&mut self, step: &Step) {
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
            Resource::Secret(_) | Resource::PasswordFile(_) => {
                let directory = Resource::Directory(paths::SECRETS.to_owned());
                assert!(self.resources.contains(&directory) && self.has_account("synapse"));
            }
            Resource::Database { owner, .. } => {
                let role = Resource::DatabaseRole(owner.clone());
                assert!(self.resources.contains(&role));
            }
            // There is one venv: another version replaces the one before.
            Resource::Venv(_) => {
                self.resources.retain(|old| !is_venv(old));
                self.made.retain(|old| !is_venv(old));
            }
            _ => {}
        }
        self.resources.insert(resource.clone());
        self.made.insert(resource.clone());
        self.made_now.insert(resource.clone());
    }

    fn remove(&mut self, resource: &Resource) {
        match resource {
            Resource::Account(name) => {
                let used = self.running.keys().any(|unit| match name.as_str() {
                    "synapse" => names::is_synapse(unit),
                    other => unit == &format!("{other}.service"),
                });
                assert!(!used, "{name} still has processes");
            }
            Resource::Venv(_) => self.resources.retain(|old| !is_venv(old)),
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
        self.made.remove(resource);
    }

    fn has_account(&self, name: &str) -> bool {
        self.resources.contains(&Resource::Account(name.to_owned()))
    }

    fn enable(&mut self, units: &[String], enabled: bool) {
        for unit in units {
            assert!(!enabled || self.host_files.contains_key(&unit_file(unit)));
            self.units.entry(unit.clone()).or_default().enabled = enabled;
        }
        self.loaded = self.host_files.clone();
    }

    fn job(&mut self, verb: Verb, unit: &str) {
        let active = self.running.contains_key(unit);
        match verb {
            Verb::Stop => {
                assert!(active, "{unit} was not running");
                self.running.remove(unit);
                self.units.get_mut(unit).unwrap().active = false;
            }
            Verb::Start => {
                assert!(!active, "{unit} runs already");
                self.start(unit);
            }
            Verb::Restart => {
                assert!(active, "{unit} was not running");
                self.start(unit);
            }
            Verb::Reload => {
                let now = self.view(unit);
                let reread = |path: &String| rule_for(path).change == Change::Reload;
                let seen = self.running.get_mut(unit).unwrap();
                seen.retain(|path, _| !reread(path));
                seen.extend(now.into_iter().filter(|(path, _)| reread(path)));
            }
        }
    }

    fn start(&mut self, unit: &str) {
        let file = unit_file(unit);
        // A unit that systemd never saw is read when it starts; one that it knows is not read again.
        if !self.loaded.contains_key(&file) {
            let digest = self.host_files.get(&file);
            let digest = digest.unwrap_or_else(|| panic!("{unit} has no file"));
            self.loaded.insert(file, digest.clone());
        }
        if names::worker_of(unit).is_some() {
            for before in [names::MAIN, names::REDIS] {
                assert!(
                    self.running.contains_key(before),
                    "{unit} before {before} runs"
                );
            }
        }
        if names::is_synapse(unit) {
            let name = names::worker_of(unit).unwrap_or("main");
            self.sockets.insert(name.to_owned());
        }
        self.running.insert(unit.to_owned(), self.view(unit));
        let state = self.units.entry(unit.to_owned()).or_default();
        (state.active, state.failed) = (true, false);
    }

    /// What a process reads when it starts now.
    fn view(&self, unit: &str) -> View {
        let state = &self.generations[&self.current.expect("a generation to read")];
        let mut view = self::view(&state.files, unit);
        for (path, digest) in view.iter_mut().filter(|(path, _)| path.starts_with(HOST)) {
            // systemd goes by what it read last.
            *digest = self.loaded.get(path).cloned().unwrap_or_default();
        }
        view
    }

    /// Processes that run at once must go by the same lists.
    fn agree(&self) {
        let synapse = || {
            self.running
                .iter()
                .filter(|(unit, _)| names::is_synapse(unit))
        };
        for name in ["stream_writers", "instance_map", "replication"] {
            let path = format!("synapse/shared.d/{name}.yaml");
            let seen: BTreeSet<Option<&String>> =
                synapse().map(|(_, view)| view.get(&path)).collect();
            assert!(seen.len() < 2, "processes run with different {name}");
        }
        let duties: BTreeSet<&String> = synapse()
            .flat_map(|(_, view)| view.keys())
            .filter(|path| matches!(rule_for(path).scope, Scope::Listed { .. }))
            .collect();
        for path in duties {
            let mut doing: BTreeSet<&str> = synapse()
                .filter(|(unit, _)| *unit != names::MAIN)
                .filter_map(|(_, view)| Some(view.get(path)?.as_str()))
                .collect();
            // Main does the work itself while it knows of nobody else.
            if self
                .running
                .get(names::MAIN)
                .is_some_and(|view| !view.contains_key(path))
            {
                doing.insert("main");
            }
            assert!(doing.len() < 2, "two go by different {path}");
        }
    }

    /// Whether the host is in this state, and every process runs with it.
    pub fn assert_settled(&self, desired: &State, case: &str) {
        let current = self.current.map(|number| &self.generations[&number]);
        let files = current
            .map(|state| digests(&state.files))
            .unwrap_or_default();
        same(&files, &digests(&desired.files), case, "current");
        let wanted = digests(&desired.files).into_iter();
        let wanted = wanted.filter(|(path, _)| path.starts_with(HOST)).collect();
        same(&self.host_files, &wanted, case, "on the host");
        same(&self.loaded, &wanted, case, "known to systemd");
        let up = UnitState {
            active: true,
            enabled: true,
            failed: false,
        };
        let units: BTreeMap<String, UnitState> = desired
            .units
            .iter()
            .map(|unit| (unit.clone(), up))
            .collect();
        same(&self.units, &units, case, "in systemd");
        for (unit, seen) in &self.running {
            same(seen, &view(&desired.files, unit), case, unit);
        }
        let missing: Vec<_> = desired.resources.difference(&self.resources).collect();
        assert!(missing.is_empty(), "{case}: missing {missing:?}");
        let processes = desired.units.iter().filter(|unit| names::is_synapse(unit));
        let sockets: BTreeSet<String> = processes
            .map(|unit| names::worker_of(unit).unwrap_or("main").to_owned())
            .collect();
        assert_eq!(self.sockets, sockets, "{case}: sockets");
    }
}

/// Says by path what differs.
fn same<T: PartialEq + std::fmt::Debug>(
    left: &BTreeMap<String, T>,
    right: &BTreeMap<String, T>,
    case: &str,
    what: &str,
) {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let differs = |key: &&&String| left.get(**key) != right.get(**key);
    let shown = |key: &&String| format!("{key} is {:?}, not {:?}", left.get(*key), right.get(*key));
    let differences: Vec<String> = keys.iter().filter(differs).map(shown).collect();
    assert!(differences.is_empty(), "{case}, {what}: {differences:#?}");
}

/// What a process of this unit goes by, of these files.
fn view(files: &Files, unit: &str) -> View {
    let mut view = View::new();
    for (path, file) in files {
        let listed = match rule_for(path).scope {
            Scope::Listed { main } if unit == names::MAIN => Some(main),
            _ => None,
        };
        match listed {
            Some(When::Always) => drop(view.insert(path.clone(), file.digest.clone())),
            Some(When::ComesOrGoes) => drop(view.insert(path.clone(), "there".to_owned())),
            None if file.affects.contains(unit) => {
                drop(view.insert(path.clone(), file.digest.clone()));
            }
            None => {}
        }
    }
    view
}

fn digests(files: &Files) -> BTreeMap<String, String> {
    let digest = |(path, file): (&String, &_)| {
        let file: &synapse_workers::converge::state::File = file;
        (path.clone(), file.digest.clone())
    };
    files.iter().map(digest).collect()
}

/// The file that a unit is made from, by its path in a generation.
fn unit_file(unit: &str) -> String {
    let name = match names::worker_of(unit) {
        Some(_) => "synapse-worker@.service",
        None => unit,
    };
    let path = format!("{HOST}{}/{name}", paths::UNITS);
    assert!(host_path(&path).is_some());
    path
}

fn is_venv(resource: &Resource) -> bool {
    matches!(resource, Resource::Venv(_))
}

/// Where in the file system a resource is.
fn place(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Directory(path) | Resource::PasswordFile(path) => Some(path.clone()),
        Resource::Venv(_) => Some(paths::VENV.to_owned()),
        Resource::Secret(name) => Some(paths::secret(name)),
        Resource::SigningKey => Some(paths::SIGNING_KEY.to_owned()),
        _ => None,
    }
}
