//! The workers of other hosts.
//!
//! Their entries get the name of the host as a prefix: `synchrotron` on the host `app2` is the entry
//! `app2_synchrotron`. So names are unique on all hosts, and a worker keeps its name when another host changes.

use super::entry::Entry;
use super::presets::preset;
use super::roles::role;
use super::spec::{self, SpecError, WorkerSpec, refuse};
use super::workers::{Topology, Worker, workers};
use crate::settings::types::Hosts;

impl Topology {
    /// Expands the specs of the first host and those of the other hosts into workers.
    ///
    /// # Errors
    /// When a host has the name of a role or of a preset, when its workers do not fit the grammar, or as for
    /// [`Topology::new`], whose rules hold for all hosts together.
    pub fn of_hosts(specs: Vec<WorkerSpec>, hosts: &Hosts) -> Result<Self, SpecError> {
        let mut entries: Vec<Entry> = specs.iter().cloned().map(Entry::of_first).collect();
        for host in hosts.all() {
            let name = host.name.as_str();
            if role(name).is_some() || preset(name).is_some() {
                return refuse!(
                    "the host {name:?} has the name of a role or a preset";
                    "choose another name for the host"
                );
            }
            let own = spec::parse(&host.workers).map_err(|error| error.on(name))?;
            if own.is_empty() {
                return refuse!(
                    "the host {name:?} has no workers";
                    "add a worker to `hosts.{name}.workers`, or remove the host"
                );
            }
            entries.extend(own.into_iter().map(|spec| Entry::of_other(name, spec)));
        }
        let workers = workers(entries)?;
        Ok(Topology { specs, workers })
    }

    /// The workers of a host, `None` for the first host, in the order of [`Topology::workers`].
    pub fn on(&self, host: Option<&str>) -> impl Iterator<Item = &Worker> {
        let of_host = move |worker: &&Worker| worker.host.as_deref() == host;
        self.workers.iter().filter(of_host)
    }
}

impl Worker {
    /// The name of its entry without the prefix of its host.
    pub fn entry(&self) -> &str {
        let prefix = self.host.as_ref().map_or(0, |host| host.len() + 1);
        &self.spec_name[prefix..]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Logins, RoutingTable};
    use super::*;
    use crate::settings::value::{Raw, Value};

    fn topology(first: &str, hosts: &str) -> Result<Topology, SpecError> {
        let hosts: Vec<_> = hosts
            .split("; ")
            .filter(|host| !host.is_empty())
            .enumerate()
            .collect();
        let hosts = hosts.into_iter().map(|(number, host)| {
            let (name, workers) = host.split_once(": ").unwrap();
            format!(
                r#""{name}":{{"address":"10.0.0.{}","workers":"{workers}"}}"#,
                number + 2
            )
        });
        let text = format!("{{{}}}", hosts.collect::<Vec<_>>().join(","));
        let hosts = Hosts::parse(&Raw::Text(text)).unwrap();
        Topology::of_hosts(spec::parse(&[first]).unwrap(), &hosts)
    }

    #[test]
    fn workers_of_other_hosts_have_the_host_as_prefix() {
        let topology = topology(
            "synchrotron:2",
            "app2: synchrotron, x=pusher+typing:1; app3: synchrotron:2",
        )
        .unwrap();
        let names: Vec<_> = topology
            .workers
            .iter()
            .map(|worker| worker.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "app2_x1",
                "app2_synchrotron1",
                "app3_synchrotron1",
                "app3_synchrotron2",
                "synchrotron1",
                "synchrotron2"
            ]
        );
        let of = |host| {
            topology
                .on(host)
                .map(|worker| worker.name.as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(None), ["synchrotron1", "synchrotron2"]);
        assert_eq!(of(Some("app2")), ["app2_x1", "app2_synchrotron1"]);
        let entries: Vec<_> = topology.on(Some("app2")).map(Worker::entry).collect();
        assert_eq!(entries, ["x", "synchrotron"]);
        assert_eq!(topology.stream_writers()["typing"], ["app2_x1"]);
        let table = RoutingTable::new(&topology, Logins::Synapse);
        let (_, upstream) = table.pick("GET", "/_matrix/client/v3/sync");
        assert_eq!(upstream.servers, &names[1..]);
    }

    #[test]
    fn rules_hold_for_all_hosts_together() {
        for (first, hosts, expected) in [
            (
                "typing",
                "app2: typing",
                "2 workers would have the role typing (typing, app2_typing=typing on app2)",
            ),
            (
                "",
                "a: background_worker; b: background_worker",
                "run_background_tasks_on takes one name",
            ),
            (
                "app2_synchrotron=pusher",
                "app2: synchrotron",
                "the entries \"app2_synchrotron\" and \"synchrotron on app2\" would both have the name",
            ),
            (
                "",
                "typing: pusher",
                "the host \"typing\" has the name of a role or a preset",
            ),
            (
                "",
                "small: pusher",
                "the host \"small\" has the name of a role or a preset",
            ),
            (
                "",
                "app2: pushr",
                "hosts.app2.workers: unknown role \"pushr\"",
            ),
            ("", "app2: pusher:0", "the host \"app2\" has no workers"),
            (
                "",
                "app2: pusher:100, receipts:100, synchrotron:100",
                "300 workers are more than 250",
            ),
        ] {
            let error = topology(first, hosts).expect_err(hosts).to_string();
            assert!(error.contains(expected), "{hosts}: {error}");
            assert_eq!(error.matches("\n  help: ").count(), 1, "{error}");
        }
        let many = "pusher:100, receipts:100, synchrotron:50";
        assert!(topology(many, &format!("a: {many}")).is_ok());
    }

    #[test]
    fn one_host_has_the_workers_that_it_always_had() {
        let specs = spec::parse(&["full, synchrotron:3"]).unwrap();
        let alone = Topology::new(specs.clone()).unwrap();
        assert_eq!(Topology::of_hosts(specs, &Hosts::default()).unwrap(), alone);
        assert_eq!(alone.on(None).count(), alone.workers.len());
    }
}
