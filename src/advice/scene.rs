//! What rules look at: a sample, and the deployment that it was taken of.

use super::load::{ProcessLoad, Sample, SynapseLoad};
use crate::deployment::{Deployment, Sizes};
use crate::state::units;
use crate::topology::routes::MAIN;
use crate::topology::{Topology, WorkerSpec};

/// A sample, and the deployment that it was taken of.
pub struct Scene<'a> {
    /// The load.
    pub sample: &'a Sample,
    /// The settings and workers of the generation in use.
    pub deployment: &'a Deployment,
    /// The sizes of caches and pools in use.
    pub sizes: &'a Sizes,
}

/// The workers of an entry of `workers:`, with their load.
pub struct Group<'a> {
    /// The entry.
    pub entry: &'a WorkerSpec,
    /// Its workers that ran all the time.
    pub workers: Vec<&'a ProcessLoad>,
}

impl Scene<'_> {
    /// The workers and their routes.
    pub fn topology(&self) -> &Topology {
        &self.deployment.topology
    }

    /// The processes of Synapse.
    pub fn synapse(&self) -> impl Iterator<Item = &ProcessLoad> {
        let processes = self.sample.processes.iter();
        processes.filter(|process| units::is_synapse(&process.unit))
    }

    /// The main process.
    pub fn main(&self) -> Option<&ProcessLoad> {
        self.synapse().find(|process| process.name == MAIN)
    }

    /// The process of a unit of an auxiliary service.
    pub fn service(&self, unit: &str) -> Option<&ProcessLoad> {
        let mut processes = self.sample.processes.iter();
        processes.find(|process| process.unit == unit)
    }

    /// The entries of `workers:` with their workers.
    pub fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.topology().specs.iter().map(|entry| {
            let workers = self.topology().workers.iter();
            let names: Vec<&str> = workers
                .filter(|worker| worker.spec_name == entry.name)
                .map(|worker| worker.name.as_str())
                .collect();
            let loads = self.synapse();
            Group {
                entry,
                workers: loads
                    .filter(|load| names.contains(&load.name.as_str()))
                    .collect(),
            }
        })
    }

    /// The processors that nothing uses.
    pub fn idle(&self) -> f64 {
        let machine = &self.sample.machine;
        (machine.processors - machine.busy).max(0.0)
    }

    /// The processors that this server uses: the processes of its units, and PostgreSQL on this host.
    pub fn used(&self) -> f64 {
        let processes = self.sample.processes.iter();
        let own: f64 = processes.filter_map(|process| process.cpu).sum();
        let postgres = self.sample.postgres.as_ref();
        own + postgres.and_then(|postgres| postgres.cpu).unwrap_or(0.0)
    }

    /// The number by which the load can grow until the processors of this host are all busy.
    pub fn room(&self) -> f64 {
        let used = self.used();
        match used > 0.0 {
            true => (used + self.idle()) / used,
            false => f64::INFINITY,
        }
    }

    /// Whether the memory of this host is short.
    pub fn is_memory_short(&self) -> bool {
        let machine = &self.sample.machine;
        let low = machine.memory > 0 && machine.available < machine.memory / 10;
        low || machine.stalled.is_some_and(|stalled| stalled > STALLED)
    }

    /// Whether Synapse's own metrics were read.
    pub fn has_metrics(&self) -> bool {
        self.synapse().any(|process| process.synapse.is_some())
    }
}

/// The part of the time with a task that waits for memory from which the memory is short: programs then wait for pages
/// that were taken from them.
const STALLED: f64 = 0.05;

impl Group<'_> {
    /// The mean of what its workers need, in processors; `None` if it is unknown.
    pub fn demand(&self) -> Option<f64> {
        let known: Vec<f64> = self.workers.iter().filter_map(|one| one.demand).collect();
        let count = u32::try_from(known.len()).ok().filter(|count| *count > 0)?;
        Some(known.iter().sum::<f64>() / f64::from(count))
    }
}

/// The processors of one kind of work, summed over processes, with the name of the work.
pub fn work<'a>(loads: impl Iterator<Item = &'a SynapseLoad>) -> Vec<(&'a String, f64)> {
    let mut found: Vec<(&String, f64)> = Vec::new();
    for (name, cores) in loads.flat_map(|load| &load.work) {
        match found.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += cores,
            None => found.push((name, *cores)),
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}
