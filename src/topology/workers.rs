//! The workers of a spec, and the lists of them that Synapse's shared configuration requires.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, worker_name};
use super::roles::{Duty, Role};
use super::rules;
use super::spec::{SpecError, WorkerSpec};

/// One worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// The name, unique on all hosts, from which its unit, socket and metrics are named.
    pub name: String,
    /// The name of its entry, with the prefix of its host.
    pub spec_name: String,
    /// The name of its host; `None` for the first host, which has the settings.
    pub host: Option<String>,
    /// Its number in that entry, from 1.
    pub index: u16,
    /// The roles in the order of [`ROLES`](super::ROLES).
    pub roles: Vec<&'static Role>,
}

impl Worker {
    /// Whether the worker has this role, given by its name in the catalogue.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own.name == role)
    }

    /// The resources of its listener for external requests; only `health` if it serves none.
    pub fn resources(&self) -> BTreeSet<&'static str> {
        let mut resources: BTreeSet<_> = self
            .roles
            .iter()
            .flat_map(|role| role.resources)
            .copied()
            .collect();
        resources.remove("replication");
        if resources.is_empty() {
            resources.insert("health");
        }
        resources
    }
}

/// The workers of a server, on all of its hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The specs of the first host as written, so that they can be written back.
    pub specs: Vec<WorkerSpec>,
    /// The workers of all hosts in the order of [`ROLES`](super::ROLES), then by name and number. The order in which entries are
    /// written has no effect, in particular not on how Synapse shards over a list.
    pub workers: Vec<Worker>,
}

impl Topology {
    /// Expands the specs of a server with one host into workers.
    ///
    /// # Errors
    /// When Synapse would refuse the workers or leave one idle (`rules.rs`).
    pub fn new(specs: Vec<WorkerSpec>) -> Result<Self, SpecError> {
        let entries = specs.iter().cloned().map(Entry::of_first).collect();
        let workers = workers(entries)?;
        Ok(Topology { specs, workers })
    }

    /// The workers with this role, in the order of [`Topology::workers`].
    pub fn with_role(&self, role: &str) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(move |worker| worker.has(role))
    }

    /// The workers with a role that has this duty. They have the order of [`Topology::workers`].
    pub fn with_duty(&self, duty: Duty) -> impl Iterator<Item = &Worker> {
        self.workers
            .iter()
            .filter(move |worker| worker.roles.iter().any(|role| role.duty == Some(duty)))
    }

    /// `stream_writers`: the workers of every stream that any worker writes.
    pub fn stream_writers(&self) -> BTreeMap<&'static str, Vec<&str>> {
        let mut writers: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for worker in &self.workers {
            for stream in worker.roles.iter().filter_map(|role| role.stream) {
                writers
                    .entry(stream)
                    .or_default()
                    .push(worker.name.as_str());
            }
        }
        writers
    }

    /// The workers that write at least one stream.
    pub fn writers(&self) -> impl Iterator<Item = &Worker> {
        let writes = |worker: &&Worker| worker.roles.iter().any(|role| role.stream.is_some());
        self.workers.iter().filter(writes)
    }
}

/// The workers of these entries, in the order of [`Topology::workers`].
///
/// # Errors
/// As for [`Topology::new`].
pub(super) fn workers(mut entries: Vec<Entry>) -> Result<Vec<Worker>, SpecError> {
    rules::check(&entries)?;
    entries.sort_by_cached_key(|entry| {
        let roles = entry.spec.roles.iter();
        let places: Vec<_> = roles.map(|role| role.position()).collect();
        (places, entry.spec.name.clone())
    });
    Ok(entries.iter().flat_map(expand).collect())
}

fn expand(entry: &Entry) -> impl Iterator<Item = Worker> {
    let spec = &entry.spec;
    (1..=spec.count).map(|index| Worker {
        name: worker_name(spec, index),
        spec_name: spec.name.clone(),
        host: entry.host.clone(),
        index,
        roles: spec.roles.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::spec::parse;
    use super::*;

    fn topology(spec: &str) -> Result<Topology, SpecError> {
        Topology::new(parse(&[spec])?)
    }

    fn names(topology: &Topology) -> Vec<&str> {
        topology
            .workers
            .iter()
            .map(|worker| worker.name.as_str())
            .collect()
    }

    #[test]
    fn names_stay_when_the_spec_is_reordered_or_scaled() {
        let a = topology("synchrotron:2, streams=typing+presence, account_data").unwrap();
        assert_eq!(
            names(&a),
            ["streams1", "account_data1", "synchrotron1", "synchrotron2"]
        );
        let b =
            topology("account_data, synchrotron, streams=presence+typing, synchrotron:2").unwrap();
        assert!(names(&a).iter().all(|name| names(&b).contains(name)));
        let many = topology("event_persister:12").unwrap();
        assert_eq!(
            many.stream_writers()["events"][9..],
            [
                "event_persister10",
                "event_persister11",
                "event_persister12"
            ]
        );
    }

    #[test]
    fn workers_know_their_listeners_and_lists() {
        let t = topology(
            "pusher, a=typing+synchrotron, media_repository:2, receipts:2, event_persister",
        )
        .unwrap();
        let resources: Vec<Vec<_>> = t
            .workers
            .iter()
            .map(|worker| worker.resources().into_iter().collect())
            .collect();
        assert_eq!(
            resources,
            [
                ["health"],
                ["health"],
                ["client"],
                ["client"],
                ["client"],
                ["media"],
                ["media"]
            ]
        );
        assert_eq!(
            t.writers().map(|w| w.name.as_str()).collect::<Vec<_>>(),
            [
                "event_persister1",
                "a1",
                "receipts1",
                "receipts2",
                "media_repository1",
                "media_repository2"
            ]
        );
        let writers = t.stream_writers();
        assert_eq!(writers["typing"], ["a1"]);
        assert_eq!(
            writers["quarantined_media_changes"],
            ["media_repository1", "media_repository2"]
        );
        assert!(!writers.contains_key("presence"));
        assert_eq!(
            t.with_duty(Duty::Media)
                .map(|w| w.index)
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert_eq!(
            t.with_role("synchrotron")
                .map(|w| &w.name)
                .collect::<Vec<_>>(),
            ["a1"]
        );
        assert_eq!(t.with_duty(Duty::BackgroundTasks).count(), 0);
    }

    #[test]
    fn topologies_that_cannot_run_are_refused() {
        for (spec, expected) in [
            (
                "typing:2",
                "only one can: stream_writers.typing takes exactly one instance",
            ),
            ("typing, a=typing+presence", "(typing, a=typing+presence)"),
            ("small, typing", "role typing"),
            ("full, full", "only one can"),
            (
                "background_worker, b=background_worker",
                "run_background_tasks_on takes one name",
            ),
            ("user_dir:2", "update_user_directory_from_worker"),
            ("appservice:2", "notify_appservices_from_worker"),
            ("sso_login:2", "one process"),
            (
                "pusher:100, receipts:100, synchrotron:100",
                "300 workers are more than 250",
            ),
            ("x=pusher:11, x1=synchrotron", "both have the name \"x11\""),
            ("x1=synchrotron:2, x=pusher:1", "both have the name \"x1\""),
        ] {
            let error = topology(spec).expect_err(spec).to_string();
            assert!(error.contains(expected), "{spec}: {error}");
        }
        assert!(topology("pusher:100, receipts:100, synchrotron:50").is_ok());
        assert!(topology("").unwrap().workers.is_empty());
    }
}
