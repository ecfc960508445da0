//! The observer of a running server, which makes one reading after another.

use super::super::postgres::Access;
use super::super::probe::{Peer, page};
use super::super::processes::Memory;
use super::super::systemd::{Systemd, about_each};
use super::sockets::Accepted;
use super::{database, kernel};
use crate::advice::counters::{self, Counters, Upstream};
use crate::advice::reading::{Process, Reading};
use crate::deployment::endpoints::{Endpoint, ServicePort, loopback};
use crate::parallel;
use crate::render::{Input, targets};
use crate::settings::types::DatabaseKind;
use crate::state::{State, units};
use anyhow::Result;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The timeout for all answers of a reading.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What is read, which does not change between readings.
pub struct Sources {
    /// The units with processes.
    units: Vec<String>,
    /// The metrics of each process of Synapse, by its name; none without metrics.
    metrics: BTreeMap<String, (SocketAddr, String)>,
    /// The endpoint of each process of Synapse at which nginx reaches it, by its name.
    endpoints: BTreeMap<String, Endpoint>,
    /// nginx's status page and the counters of its access log.
    nginx: Option<(SocketAddr, SocketAddr)>,
    /// PostgreSQL, and whether it runs on this host.
    database: Option<(Access, bool)>,
}

impl Sources {
    /// The sources of a deployment in this state. `database` is the access that Synapse has.
    pub fn of(input: &Input, state: &State, database: Option<Access>) -> Self {
        let units = state.units.iter();
        let units: Vec<String> = units
            .filter(|unit| unit.ends_with(".service"))
            .cloned()
            .collect();
        let endpoints = units
            .iter()
            .filter(|unit| units::is_synapse(unit))
            .map(|unit| units::name_of(unit))
            .map(|name| (name.to_owned(), input.endpoints().public(name)))
            .collect();
        let targets = targets::all(input);
        let service = |port| loopback(input.endpoints().service(port));
        Self {
            nginx: (!targets.is_empty()).then(|| {
                (
                    service(ServicePort::NginxStatus),
                    service(ServicePort::NginxLogExporter),
                )
            }),
            metrics: targets
                .into_iter()
                .map(|target| (target.name, (target.address, target.path)))
                .collect(),
            database: database.map(|access| match input.database() {
                DatabaseKind::Local => (
                    Access {
                        database: access.database,
                        ..Access::superuser(access.port)
                    },
                    true,
                ),
                _ => (access, false),
            }),
            units,
            endpoints,
        }
    }
}

/// Makes readings.
pub struct Observer {
    systemd: Systemd,
    sources: Sources,
    begun: Instant,
}

impl Observer {
    /// An observer of these sources.
    ///
    /// # Errors
    /// When systemd cannot be reached.
    pub fn new(sources: Sources) -> Result<Self> {
        Ok(Self {
            systemd: Systemd::connect()?,
            sources,
            begun: Instant::now(),
        })
    }

    /// Reads all counters. A source that does not answer is absent from the reading.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn read(&self) -> Result<Reading> {
        let sources = &self.sources;
        let end = Instant::now() + TIMEOUT;
        let (processes, (postgres, nginx)) = parallel::both(
            || self.processes(end),
            || {
                parallel::both(
                    || {
                        let database = sources.database.as_ref();
                        database.and_then(|(access, here)| database::read(access, *here).ok())
                    },
                    || sources.nginx.map(|nginx| of_nginx(nginx, end)),
                )
            },
        );
        let (clients, upstreams) = nginx.unwrap_or_default();
        Ok(Reading {
            at: self.begun.elapsed(),
            machine: kernel::machine(),
            processes: processes?,
            postgres,
            clients,
            upstreams,
        })
    }

    fn processes(&self, end: Instant) -> Result<Vec<Process>> {
        let units: Vec<&str> = self.sources.units.iter().map(String::as_str).collect();
        let states = self.systemd.processes(&units)?;
        let spent = self.systemd.processor_times(&units)?;
        let known: Vec<_> = units.iter().copied().zip(states).zip(spent).collect();
        let running: Vec<_> = known
            .into_iter()
            .filter(|((_, state), _)| state.pid > 0)
            .collect();
        let accepted = Accepted::read();
        Ok(parallel::map(&running, |((unit, state), spent)| {
            let name = units::name_of(unit);
            let is_synapse = units::is_synapse(unit);
            let memory = Memory::of(state.pid).filter(|_| is_synapse);
            let metrics = self.sources.metrics.get(name).filter(|_| is_synapse);
            let text = metrics.and_then(|(at, path)| page(&Peer::Address(*at), path, end).ok());
            let endpoint = self.sources.endpoints.get(name);
            Process {
                name: name.to_owned(),
                unit: (*unit).to_owned(),
                pid: state.pid,
                cpu: *spent,
                delayed: kernel::delayed(state.pid).filter(|_| is_synapse),
                memory: memory
                    .map(|memory| memory.private + memory.shared)
                    .or(state.memory),
                private: memory.map(|memory| memory.private),
                connections: endpoint.map(|endpoint| accepted.at(endpoint)),
                synapse: text.as_deref().map(Counters::read),
            }
        }))
    }
}

/// The connections of clients, and the counters of upstreams.
fn of_nginx(
    (status, log): (SocketAddr, SocketAddr),
    end: Instant,
) -> (Option<u64>, BTreeMap<String, Upstream>) {
    let text = |at: SocketAddr, path: &str| page(&Peer::Address(at), path, end).ok();
    let clients = text(status, "/status").and_then(|text| counters::connections(&text));
    let upstreams = text(log, "/metrics").map(|text| Upstream::read(&text));
    (clients, upstreams.unwrap_or_default())
}

impl Systemd {
    /// The processor time of each unit in seconds, from its control group, or from its processes on hosts without
    /// accounting of processors.
    fn processor_times(&self, units: &[&str]) -> Result<Vec<Option<f64>>> {
        about_each(units, async |unit| {
            // systemd reports the maximum value for "unknown".
            let used = self.service(unit).await?.cpu_usage().await?;
            if used != u64::MAX {
                return Ok(Some(Duration::from_nanos(used).as_secs_f64()));
            }
            let processes = self.manager.get_unit_processes(unit).await?;
            let times = processes.iter().filter_map(|(_, pid, _)| kernel::cpu(*pid));
            Ok(Some(times.sum()))
        })
    }
}
