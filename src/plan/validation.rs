//! The part of the plan that validates a generation.

use super::planner::{Planner, UNIT_FILES};
use super::step::{ChangeKind, FileChange, Validator};
use super::validated::Validated;
use super::{Removal, Target};
use crate::state::Resource;
use crate::state::cluster::DebianCluster;
use crate::state::restart_rules::{HOST_NAME, VERSION, host_path};
use crate::state::synapse_config;
use crate::state::units;
use crate::topology::{Release, releases};
use std::cell::LazyCell;

/// Files of Alertmanager in a generation: the text of mail, and the template of its configuration.
const ALERTMANAGER_FILES: [&str; 2] = ["alertmanager/", "secrets/alertmanager.yml"];

impl Planner<'_> {
    /// The validators of the files that changed.
    pub(super) fn validators(&self) -> Vec<Validator> {
        let mut validators = Vec::new();
        // The first host checks it for all, which have the same release. Others may not reach the database before this run
        // opens it to them.
        let is_first = !self.desired.files.contains_key(HOST_NAME);
        if is_first && self.starts_other_synapse() {
            validators.push(Validator::Schema);
        }
        // An existing generation was validated when it was written.
        if self.target != Target::Rendered {
            return validators;
        }
        if self.routes_to_unknown_synapse() {
            validators.push(Validator::Endpoints);
        }
        let written = self
            .changes
            .iter()
            .filter(|change| change.kind != ChangeKind::Removed);
        if written
            .clone()
            .any(|change| change.path.starts_with("nginx/"))
        {
            validators.push(Validator::Nginx);
        }
        // Computed only if a plan has new files of workers.
        let validated = LazyCell::new(|| Validated::new(self.desired, &self.changes));
        // A file that only one process reads is validated for that process, any other file for all.
        let synapse: Vec<&str> = self
            .changes
            .iter()
            .filter_map(|change| change.path.strip_prefix("synapse/"))
            .collect();
        let composed = |change: &FileChange| change.path.starts_with("secrets/synapse.d/");
        let shared = synapse.iter().any(|path| !synapse_config::is_own(path))
            || self.changes.iter().any(composed);
        let processes: Vec<String> = self
            .desired
            .files
            .keys()
            .filter_map(|path| Some((path, path.strip_prefix("synapse/")?)))
            .filter(|(_, own)| synapse_config::is_own(own))
            .filter(|(path, own)| shared || (synapse.contains(own) && !validated.contains(path)))
            .map(|(_, own)| own.to_owned())
            .collect();
        if !processes.is_empty() {
            validators.push(Validator::Synapse(processes));
        }
        if written
            .clone()
            .any(|change| change.path.starts_with("prometheus/"))
        {
            validators.push(Validator::Prometheus);
        }
        if written.clone().any(|change| {
            ALERTMANAGER_FILES
                .iter()
                .any(|path| change.path.starts_with(path))
        }) {
            validators.push(Validator::Alertmanager);
        }
        if written
            .clone()
            .any(|change| change.path.starts_with(UNIT_FILES) && !validated.contains(&change.path))
        {
            validators.push(Validator::Systemd);
        }
        let postgres = written.filter(|change| {
            let place = host_path(&change.path);
            place.is_some_and(|place| DebianCluster::of_file(place).is_some())
        });
        validators.extend(postgres.map(|change| Validator::Postgres(change.path.clone())));
        validators
    }

    /// Whether the plan starts workers of a Synapse that is newer than the tables of this program.
    fn routes_to_unknown_synapse(&self) -> bool {
        let changed = self.changes.iter().any(|change| change.path == VERSION);
        let version = self.desired.files.get(VERSION).filter(|_| changed);
        let workers = self
            .desired
            .units
            .iter()
            .any(|unit| units::worker_of(unit).is_some());
        workers
            && version.is_some_and(|file| {
                Release::of(&String::from_utf8_lossy(&file.contents)) > releases::NEWEST
            })
    }

    /// Whether the plan starts a release of Synapse that has not used this database. The rollback of a failed run
    /// never does.
    fn starts_other_synapse(&self) -> bool {
        let empty = |resource: &Resource| matches!(resource, Resource::Database { .. });
        self.removal != Removal::Undo
            && self.changes.iter().any(|change| change.path == VERSION)
            && !self.missing().any(empty)
    }
}
