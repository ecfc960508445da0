//! Each folder `tests/cases/NN-name` describes a host. The test compares every rendered byte with `expected/`, the plan
//! that leads there with `expected.plan`, and the units, resources and affected units of each file with
//! `expected.state`. The files and the state of another host in `hosts` are in `expected-NAME/` and
//! `expected-NAME.state`. `UPDATE=1 cargo test` rewrites these files; read the diff before you commit it.
//!
//! A folder contains `settings.yaml` and, where needed, `host.yaml` (host facts, see [`Facts`]), `homeserver.d/`
//! (Synapse options of the administrator) and `files/` (referenced and adopted files, by their path). A folder with
//! `before/` is a change: `before/` contains the same files for the running state, and the plan starts from there.
//! `run.yaml` (see [`Run`]) contains the command, if it is not `install`, the hosts that it leaves out, and what else happened
//! on the host.

mod complete;
mod run;

use super::setup::{Setup, cluster};
use run::Run;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use synapse_workers::deployment::SynapseOptions;
use synapse_workers::deployment::adopted::{Adopted, mapped};
use synapse_workers::plan::{Plan, Removal, Target};
use synapse_workers::request::referenced_files;
use synapse_workers::state::acme::Order;
use synapse_workers::state::{HostFacts, HostSize, Observed, State, paths};

/// Host facts that differ from a plain Debian.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Facts {
    redis: Option<String>,
    grafana: bool,
    nginx: Option<(u32, u32)>,
    without_jemalloc: bool,
    /// Names of the secrets that exist.
    secrets: BTreeSet<String>,
    address: Option<IpAddr>,
    coturn_metrics: bool,
    /// Whether the nginx of the distribution serves only the page of its package.
    spare_nginx: bool,
    processors: usize,
    /// In GiB, as the host was sold with.
    memory: u64,
    /// In GiB.
    disk: u64,
    /// The connections that PostgreSQL allows.
    connections: u32,
    /// The configuration file of the PostgreSQL cluster.
    cluster: Option<String>,
}

impl Facts {
    fn on_debian(self) -> HostFacts {
        let default = HostFacts::default();
        let mut facts = HostFacts {
            redis: self.redis.unwrap_or(default.redis),
            grafana: self.grafana,
            nginx: self.nginx.unwrap_or(default.nginx),
            jemalloc: !self.without_jemalloc,
            secrets: self.secrets,
            address: self.address,
            spare_nginx: self.spare_nginx,
            size: HostSize {
                processors: self.processors,
                memory: self.memory << 30,
                disk: self.disk << 30,
                connections: self.connections,
            },
            cluster: self.cluster.map(|path| cluster(&path)),
            ..HostFacts::default()
        };
        facts.coturn.metrics = self.coturn_metrics;
        facts
    }
}

/// Reads a file that may be missing.
fn yaml<T: DeserializeOwned + Default>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).ok();
    let value = text.map(|text| serde_yaml::from_str(&text));
    value
        .transpose()
        .unwrap_or_else(|error| panic!("{path:?}: {error}"))
        .unwrap_or_default()
}

fn setup(folder: &Path) -> Setup {
    let text = std::fs::read_to_string(folder.join("settings.yaml"));
    let text = text.unwrap_or_else(|error| panic!("{folder:?}: settings.yaml: {error}"));
    let mut setup = Setup::of(&text);
    setup.facts = yaml::<Facts>(&folder.join("host.yaml")).on_debian();
    setup.homeserver_d = files(&folder.join("homeserver.d"))
        .into_iter()
        .collect::<SynapseOptions>();
    let place = |path: &Path| folder.join("files").join(path.strip_prefix("/").unwrap());
    let settings = setup.try_settings();
    let settings = settings.unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    setup.referenced = referenced_files::read(&settings, place).unwrap();
    let adopted = settings.adopt.config.iter().map(|path| {
        let contents = std::fs::read(place(path.as_path())).unwrap();
        (path.as_str().to_owned(), contents)
    });
    let adopted = mapped(adopted.collect(), &settings.adopt.paths);
    setup.adopted = Adopted::new(adopted).unwrap();
    setup
}

/// Every file below a directory by its relative path; empty if the directory does not exist.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![directory.to_owned()];
    while let Some(one) = todo.pop() {
        for entry in std::fs::read_dir(&one).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let name = path.strip_prefix(directory).unwrap();
            let contents = std::fs::read(&path).unwrap();
            found.insert(name.to_str().unwrap().to_owned(), contents);
        }
    }
    found
}

/// The contents of a folder.
struct Case {
    /// `None` on a host without this program.
    before: Option<Setup>,
    run: Run,
    /// `None` if the command removes everything.
    after: Option<Setup>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let run: Run = yaml(&folder.join("run.yaml"));
        let before = folder.join("before");
        Self {
            before: before.exists().then(|| setup(&before)),
            after: (!run.command.removes_all()).then(|| setup(folder).without(&run.without)),
            run,
        }
    }

    fn desired(&self) -> State {
        self.after.as_ref().map(Setup::state).unwrap_or_default()
    }

    fn plan(&self) -> Plan {
        let desired = self.desired();
        let Some(before) = &self.before else {
            let empty = Observed {
                next: 1,
                processors: 2,
                lacks_certificate: Order::of_state(&desired).is_some(),
                ..Observed::default()
            };
            return Plan::between(&desired, &empty, Target::Rendered, Removal::Keep);
        };
        let sqlite = before.adopted.sqlite();
        let sqlite = sqlite.unwrap_or(paths::SQLITE.to_owned());
        self.run.plan(&before.state(), &desired, sqlite)
    }

    /// All expected files by path: the plan and, for a host without this program, the state and the rendered files.
    fn expected(&self) -> BTreeMap<String, Vec<u8>> {
        let plan = self.plan().to_string().into_bytes();
        let mut found = BTreeMap::from([(PLAN.to_owned(), plan)]);
        if self.before.is_none() {
            let desired = self.desired();
            found.insert("expected.state".to_owned(), summary(&desired).into_bytes());
            let files = desired.files.into_iter();
            found.extend(files.map(|(path, file)| (format!("expected/{path}"), file.contents)));
        }
        for (host, state) in self.others() {
            let name = format!("expected-{host}");
            found.insert(format!("{name}.state"), summary(&state).into_bytes());
            let files = state.files.into_iter();
            found.extend(files.map(|(path, file)| (format!("{name}/{path}"), file.contents)));
        }
        found
    }

    /// The states of the other hosts, by name; none for a change.
    fn others(&self) -> Vec<(String, State)> {
        let setup = self.after.iter().filter(|_| self.before.is_none());
        let all = setup.flat_map(|setup| {
            let hosts = setup.deployment().settings.hosts;
            let names: Vec<String> = hosts.all().iter().map(|host| host.name.clone()).collect();
            names.into_iter().map(|name| {
                let state = setup.state_on(&name);
                (name, state)
            })
        });
        all.collect()
    }
}

const PLAN: &str = "expected.plan";

/// Units, resources, and for each file whether it is private and which units it affects.
fn summary(state: &State) -> String {
    let mut text = String::new();
    for unit in &state.units {
        let _ = writeln!(text, "unit      {unit}");
    }
    for resource in &state.resources {
        let _ = writeln!(text, "resource  {resource}");
    }
    for (path, file) in &state.files {
        let private = if file.private { " (private)" } else { "" };
        let _ = writeln!(text, "file      {path}{private}");
        for unit in &file.affects {
            let _ = writeln!(text, "            {unit}");
        }
    }
    text
}

/// The differences in the style of `diff`, with the first differing line of each file.
fn differences(expected: &BTreeMap<String, Vec<u8>>, found: &BTreeMap<String, Vec<u8>>) -> String {
    let mut text = String::new();
    let paths: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for path in paths {
        let _ = match (expected.get(path), found.get(path)) {
            (Some(_), None) => writeln!(text, "- {path}"),
            (None, Some(_)) => writeln!(text, "+ {path}"),
            (Some(expected), Some(found)) if expected != found => {
                let (expected, found) = (lines(expected), lines(found));
                let same = expected.iter().zip(&found).take_while(|(a, b)| a == b);
                let line = same.count();
                let at = |lines: &[String]| lines.get(line).cloned().unwrap_or_default();
                let (expected, found) = (at(&expected), at(&found));
                writeln!(text, "~ {path}:{}\n  - {expected}\n  + {found}", line + 1)
            }
            _ => Ok(()),
        };
    }
    text
}

fn lines(contents: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(contents);
    text.lines().map(str::to_owned).collect()
}

fn write(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && name.starts_with("expected") {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
    for (path, contents) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
    }
}

fn folders() -> Vec<PathBuf> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = std::fs::read_dir(cases).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    folders
}

#[test]
fn every_folder_renders_and_plans_as_expected() {
    let mut wrong = String::new();
    for folder in folders() {
        let found = Case::read(&folder).expected();
        if std::env::var_os("UPDATE").is_some() {
            write(&folder, &found);
        }
        let mut expected = files(&folder);
        expected.retain(|path, _| path.starts_with("expected"));
        let text = differences(&expected, &found);
        if !text.is_empty() {
            let _ = writeln!(wrong, "{}:\n{text}", folder.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}UPDATE=1 cargo test accepts this");
}

#[test]
fn every_folder_has_a_number_of_its_own() {
    let number = |path: &PathBuf| path.file_name().unwrap().to_string_lossy()[..2].to_owned();
    let numbers: Vec<String> = folders().iter().map(number).collect();
    let alike: Vec<_> = numbers.windows(2).filter(|two| two[0] == two[1]).collect();
    assert!(alike.is_empty(), "{alike:?}");
}

#[test]
fn a_byte_that_differs_and_a_file_that_is_missing_are_reported() {
    let file = |text: &str| BTreeMap::from([("a".to_owned(), text.as_bytes().to_vec())]);
    assert_eq!(differences(&file("x\ny\n"), &file("x\ny\n")), "");
    assert_eq!(
        differences(&file("x\ny\n"), &file("x\nz\n")),
        "~ a:2\n  - y\n  + z\n"
    );
    assert_eq!(differences(&file(""), &BTreeMap::new()), "- a\n");
    assert_eq!(differences(&BTreeMap::new(), &file("")), "+ a\n");
}
