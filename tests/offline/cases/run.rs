//! The file `run.yaml` of a change: its command, and what differs on the host from the state before it.

use crate::model::{End, Model};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::converge::Goal;
use synapse_workers::converge::verify::Expected;
use synapse_workers::plan::{Plan, Removal, SettingsChange, Target};
use synapse_workers::state::{HOST, Resource, State, paths};

/// The contents of the file. Without it, the host runs the state before, and the command is `install`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    pub command: Command,
    /// The hosts that the command leaves out.
    pub without: Vec<String>,
    /// Files in the directory of secrets whose contents the run replaces.
    pub replaced: BTreeSet<String>,
    /// Files outside generations that changed, each with the units that started before that.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    /// Why the venv of Synapse is damaged.
    pub damaged: Option<String>,
    /// Units whose processes ended.
    pub crashed: BTreeSet<String>,
    /// Files on the host that another program or the administrator changed.
    pub edited: BTreeSet<String>,
}

/// A command, as it is written on the command line.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    #[default]
    Install,
    MigrateDatabase,
    /// The state of the folder is generation 1, and the state before is generation 2.
    Rollback,
    Uninstall,
    #[serde(rename = "uninstall --purge")]
    Purge,
}

impl Command {
    /// Whether the command leads to a host without this program, so that the folder has no settings of its own.
    pub fn removes_all(self) -> bool {
        matches!(self, Command::Uninstall | Command::Purge)
    }
}

impl Run {
    /// The plan of the command. `sqlite` is the file that `migrate-database` reads.
    pub fn plan(&self, before: &State, desired: &State, sqlite: String) -> Plan {
        let mut model = match self.command {
            Command::Rollback => {
                let mut model = Model::running(desired);
                model.run(before, End::Done);
                model
            }
            _ => Model::running(before),
        };
        for unit in &self.crashed {
            model.crash(unit);
        }
        let replaced = self.replaced.iter().map(|name| secret(desired, name));
        model.stale.extend(replaced);
        let venv = venv(before).map(|(venv, _)| venv.clone());
        model.damaged.extend(venv.zip(self.damaged.clone()));
        let mut observed = model.observe(desired);
        observed.outdated.clone_from(&self.outdated);
        for path in &self.edited {
            let old = observed
                .host_files
                .insert(format!("{HOST}{path}"), String::new());
            assert!(old.is_some(), "{path} is not on the host");
        }
        self.goal(desired, sqlite).plan(&observed)
    }

    fn goal<'a>(&self, desired: &'a State, sqlite: String) -> Goal<'a> {
        let purge = self.command == Command::Purge;
        Goal {
            desired,
            target: match self.command {
                Command::Install | Command::MigrateDatabase => Target::Rendered,
                Command::Rollback => Target::Generation(1),
                Command::Uninstall | Command::Purge => Target::Nothing,
            },
            removal: if purge { Removal::Purge } else { Removal::Keep },
            moving: (self.command == Command::MigrateDatabase).then_some(sqlite),
            settings: purge.then(|| SettingsChange {
                path: paths::SETTINGS.into(),
                what: String::new(),
                before: None,
                after: None,
                copy: None,
            }),
            settings_text: String::new(),
            summary: String::new(),
            expected: Expected::default(),
        }
    }

    /// The paths of files outside generations that the plan takes into account.
    pub fn paths(&self, desired: &State) -> impl Iterator<Item = String> {
        let secrets = self.replaced.iter().map(|name| paths::secret(name));
        let damaged = self.damaged.as_ref().and_then(|_| venv(desired));
        secrets
            .chain(self.outdated.keys().cloned())
            .chain(damaged.map(|(_, directory)| directory))
    }
}

/// The venv of Synapse, and its directory.
fn venv(state: &State) -> Option<(&Resource, String)> {
    let mut resources = state.resources.iter();
    resources.find_map(|it| Some((it, it.code_of_synapse()?)))
}

/// The resource with this name in the directory of secrets.
fn secret(state: &State, name: &str) -> Resource {
    let path = Some(paths::secret(name));
    let found = state.resources.iter().find(|it| it.secret_path() == path);
    found.cloned().unwrap_or_else(|| panic!("no secret {name}"))
}
