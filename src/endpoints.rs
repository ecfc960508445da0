//! Where processes listen: Unix sockets, or TCP ports on 127.0.0.1 that stay the same while workers come and go.
//!
//! A port is told by the worker's role, name and number, not by its place in a list: the first role of its entry gives
//! the hundred. In the lower half of it are workers named after their one role, by number; in the upper half all
//! others, from a place on that their entry's name gives. So no worker has to leave its port, which a process that
//! still runs may be about to take, because another entry comes or goes. Only names that share a place, and entries of
//! more than fifty, can meet; the later one then takes the next port that is free.

use crate::paths;
use crate::settings::Settings;
use crate::settings::types::NetworkAccess;
use crate::topology::{Duty, ROLES, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

/// How many ports each purpose has; the purposes follow one another from `tcp_ports` on.
const WIDTH: u16 = 3_000;

/// What a port is for, in the order of the ports.
#[derive(Clone, Copy)]
enum Purpose {
    Metrics,
    Public,
    Replication,
    Manhole,
}

/// A port of a program beside Synapse, the number being its place before those of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePort {
    /// nginx's own counters (stub_status).
    NginxStatus = 1,
    NginxExporter = 2,
    RedisExporter = 3,
    PostgresExporter = 4,
    NginxLogExporter = 5,
    Coturn = 6,
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Socket(String),
    /// On 127.0.0.1.
    Port(u16),
}

impl Endpoint {
    /// As nginx's `server` wants it.
    pub fn upstream(&self) -> String {
        match self {
            Endpoint::Socket(path) => format!("unix:{path}"),
            Endpoint::Port(port) => format!("127.0.0.1:{port}"),
        }
    }
}

/// The places of all processes.
#[derive(Clone, Debug)]
pub struct Endpoints {
    base: u16,
    main_metrics: u16,
    public_sockets: bool,
    replication_sockets: bool,
    /// Of each worker.
    slots: BTreeMap<String, u16>,
    /// See [`Endpoints::reached`].
    reached: BTreeSet<String>,
    /// See [`Endpoints::senders`].
    senders: Vec<String>,
}

impl Endpoints {
    pub fn new(settings: &Settings, topology: &Topology) -> Self {
        let senders: Vec<String> = match settings.sandbox.network {
            NetworkAccess::Senders => topology
                .with_duty(Duty::FederationSender)
                .map(|worker| worker.name.clone())
                .collect(),
            NetworkAccess::Auto | NetworkAccess::All => Vec::new(),
        };
        let main = (!topology.workers.is_empty()).then_some("main");
        let writers = topology.writers().map(|worker| worker.name.as_str());
        let reached = main
            .into_iter()
            .chain(writers)
            .chain(senders.iter().map(String::as_str));
        Self {
            // The bounds of the setting are far inside those of u16.
            base: u16::try_from(settings.tcp_ports.get()).unwrap_or(u16::MAX),
            main_metrics: settings.metrics.port.number(),
            public_sockets: settings.sockets.public,
            replication_sockets: settings.sockets.replication,
            slots: slots(topology),
            reached: reached.map(str::to_owned).collect(),
            senders,
        }
    }

    /// The processes that others send requests to: the main process where there are workers, those that write a stream,
    /// and [`Endpoints::senders`].
    pub fn reached(&self) -> &BTreeSet<String> {
        &self.reached
    }

    /// The workers that send the requests of all processes to other homeservers; none where each sends its own.
    pub fn senders(&self) -> &[String] {
        &self.senders
    }

    /// Where nginx reaches a process.
    pub fn public(&self, process: &str) -> Endpoint {
        match self.public_sockets {
            true => Endpoint::Socket(paths::public_socket(process)),
            false => Endpoint::Port(self.port(Purpose::Public, process)),
        }
    }

    /// Where the other Synapse processes reach a process.
    pub fn replication(&self, process: &str) -> Endpoint {
        match self.replication_sockets {
            true => Endpoint::Socket(paths::replication_socket(process)),
            false => Endpoint::Port(self.port(Purpose::Replication, process)),
        }
    }

    /// The port of a process's metrics.
    pub fn metrics(&self, process: &str) -> u16 {
        match process {
            "main" => self.main_metrics,
            worker => self.port(Purpose::Metrics, worker),
        }
    }

    /// The port of a process's manhole.
    pub fn manhole(&self, process: &str) -> u16 {
        self.port(Purpose::Manhole, process)
    }

    /// The port of another program.
    pub fn service(&self, service: ServicePort) -> u16 {
        self.base + service as u16
    }

    fn port(&self, purpose: Purpose, process: &str) -> u16 {
        let slot = self.slots.get(process).copied().unwrap_or_default();
        self.base + purpose as u16 * WIDTH + slot
    }
}

/// An address on 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A place for each worker, from 100 on; main has 0.
fn slots(topology: &Topology) -> BTreeMap<String, u16> {
    let mut taken = BTreeSet::new();
    let mut slots = BTreeMap::new();
    for worker in &topology.workers {
        let role = worker.roles.first();
        let place = ROLES
            .iter()
            .position(|known| Some(&known) == role)
            .unwrap_or_default();
        let hundred = (u16::try_from(place).unwrap_or_default() + 1) * 100;
        let number = worker.index - 1;
        let plain =
            worker.roles.len() == 1 && role.is_some_and(|role| role.name == worker.spec_name);
        let mut slot = match plain {
            true => hundred + number,
            false => hundred + HALF + (place_of(&worker.spec_name) + number) % HALF,
        };
        while !taken.insert(slot) {
            slot += 1;
        }
        slots.insert(worker.name.clone(), slot);
    }
    slots
}

/// Half of the ports of a role.
const HALF: u16 = 50;

/// A number below [`HALF`] that a name always has, and others rarely (FNV-1a).
fn place_of(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    u16::try_from(hash % u32::from(HALF)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{WorkerSpec, parse};

    fn of(spec: &str) -> BTreeMap<String, u16> {
        let specs: Vec<WorkerSpec> = parse(&[spec]).unwrap();
        slots(&Topology::new(specs).unwrap())
    }

    #[test]
    fn ports_stay_while_workers_come_and_go() {
        let before = of("full");
        let after = of("full, synchrotron:3, sso_login, x=event_persister:2");
        assert!(before.iter().all(|(name, slot)| after[name] == *slot));
        assert_eq!(after["synchrotron3"] - after["synchrotron1"], 2);
        // Entries with the same first role, in whatever order they come and go.
        let merged = "clients=synchrotron+client_reader:2, other=synchrotron";
        let (before, after) = (
            of(merged),
            of(&format!("a=synchrotron, synchrotron:3, {merged}")),
        );
        assert!(
            before.iter().all(|(name, slot)| after[name] == *slot),
            "{before:?} {after:?}"
        );
    }

    #[test]
    fn no_two_processes_meet_and_all_fit() {
        for spec in [
            "full",
            "a=pusher:60, b=pusher:60, pusher:60, mas_helper:70",
            "mas_helper:100, z=mas_helper:100",
        ] {
            let slots = of(spec);
            let distinct: BTreeSet<&u16> = slots.values().collect();
            assert_eq!(distinct.len(), slots.len(), "{spec}");
            assert!(
                slots.values().all(|slot| (100..WIDTH).contains(slot)),
                "{spec}"
            );
        }
        assert_eq!(u32::from(WIDTH) * 4, crate::settings::TCP_PORTS);
    }
}
