//! Endpoints of processes: Unix sockets, or TCP ports that stay the same when other workers are added or removed. A
//! port is on 127.0.0.1, or between hosts on the address of its host.
//!
//! `slots.rs` has the number of each process.

use super::slots::{WIDTH, slots};
use crate::settings::Settings;
use crate::settings::types::NetworkAccess;
use crate::state::paths;
use crate::topology::{Duty, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The purpose of a port, in the order of the port ranges.
#[derive(Clone, Copy)]
enum Purpose {
    Metrics,
    Public,
    Replication,
    Manhole,
}

/// A port of a program other than Synapse. The number is its offset from `tcp_ports`; the slots of workers start after
/// these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePort {
    /// nginx's stub_status page.
    NginxStatus = 1,
    /// The exporter that translates nginx's stub_status page for Prometheus.
    NginxExporter = 2,
    /// The exporter for the Redis that carries replication.
    RedisExporter = 3,
    /// The exporter for the PostgreSQL that Synapse uses.
    PostgresExporter = 4,
    /// mtail, which counts requests in nginx's access log.
    NginxLogExporter = 5,
    /// The metrics of coturn: its own, or those of `synapse-coturn-exporter.service` if its build has none.
    Coturn = 6,
    /// Alertmanager, which delivers alerts: its API and its metrics.
    Alertmanager = 7,
    /// Our own Redis, if it serves other hosts.
    Redis = 8,
}

/// An address that a process listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The path of a Unix socket.
    Socket(String),
    /// A TCP port on 127.0.0.1.
    Port(u16),
    /// A TCP port on the address of a host, for other hosts.
    Address(SocketAddr),
}

impl Endpoint {
    /// The address in the syntax of nginx's `server` directive.
    pub fn upstream(&self) -> String {
        match self {
            Endpoint::Socket(path) => format!("unix:{path}"),
            Endpoint::Port(port) => format!("127.0.0.1:{port}"),
            Endpoint::Address(address) => address.to_string(),
        }
    }
}

/// The endpoints of all processes, as one host sees them.
#[derive(Clone, Debug)]
pub struct Endpoints {
    base: u16,
    main_metrics: u16,
    public_sockets: bool,
    replication_sockets: bool,
    /// The slot of each worker, by name.
    slots: BTreeMap<String, u16>,
    /// See [`Endpoints::reached`].
    reached: BTreeSet<String>,
    /// See [`Endpoints::senders`].
    senders: Vec<String>,
    /// The host that sees the endpoints; `None` for the first host.
    host: Option<String>,
    /// The address of the first host, if there are others.
    first: Option<IpAddr>,
    /// The addresses of the processes on other hosts than the first.
    others: BTreeMap<String, IpAddr>,
}

impl Endpoints {
    /// Assigns a slot to each worker, and decides which processes other processes send requests to. The endpoints are
    /// those that the first host sees.
    pub fn new(settings: &Settings, topology: &Topology) -> Self {
        Self::seen_from(None, settings, topology)
    }

    /// The same for another host, given by its name.
    pub fn seen_from(host: Option<&str>, settings: &Settings, topology: &Topology) -> Self {
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
            // The setting's range lies well inside that of u16.
            base: u16::try_from(settings.tcp_ports.get()).unwrap_or(u16::MAX),
            main_metrics: settings.metrics.port.number(),
            public_sockets: settings.sockets.public,
            replication_sockets: settings.sockets.replication,
            slots: slots(topology),
            reached: reached.map(str::to_owned).collect(),
            senders,
            host: host.map(str::to_owned),
            first: settings.address.filter(|_| !settings.hosts.is_empty()),
            others: topology
                .workers
                .iter()
                .filter_map(|worker| {
                    let host = settings.hosts.named(worker.host.as_deref()?)?;
                    Some((worker.name.clone(), host.address))
                })
                .collect(),
        }
    }

    /// The processes that other processes send requests to: main if there are workers, stream writers, and
    /// [`Endpoints::senders`].
    pub fn reached(&self) -> &BTreeSet<String> {
        &self.reached
    }

    /// The workers that send all processes' requests to other homeservers; empty if every process sends its own.
    pub fn senders(&self) -> &[String] {
        &self.senders
    }

    /// The endpoint at which nginx reaches a process.
    pub fn public(&self, process: &str) -> Endpoint {
        let remote = self.on_other_host(Purpose::Public, process);
        remote.unwrap_or_else(|| match self.public_sockets {
            true => Endpoint::Socket(paths::public_socket(process)),
            false => Endpoint::Port(self.port(Purpose::Public, process)),
        })
    }

    /// The endpoint at which the Synapse processes of this host reach a process.
    pub fn replication(&self, process: &str) -> Endpoint {
        let remote = self.on_other_host(Purpose::Replication, process);
        remote.unwrap_or_else(|| match self.replication_sockets {
            true => Endpoint::Socket(paths::replication_socket(process)),
            false => Endpoint::Port(self.port(Purpose::Replication, process)),
        })
    }

    /// The endpoint at which the Synapse processes of other hosts reach a process of the first host, if they do.
    pub fn replication_for_others(&self, process: &str) -> Option<Endpoint> {
        let first = self.first.filter(|_| self.host.is_none())?;
        let reached = self.reached.contains(process) && !self.others.contains_key(process);
        reached.then(|| self.at(first, Purpose::Replication, process))
    }

    /// The endpoint of a process that this host does not reach over a Unix socket: one on another host than the first,
    /// or any process for those hosts.
    fn on_other_host(&self, purpose: Purpose, process: &str) -> Option<Endpoint> {
        let other = self.others.get(process).copied();
        let address = other.or(self.first.filter(|_| self.host.is_some()))?;
        Some(self.at(address, purpose, process))
    }

    fn at(&self, address: IpAddr, purpose: Purpose, process: &str) -> Endpoint {
        Endpoint::Address(SocketAddr::new(address, self.port(purpose, process)))
    }

    /// The ports of requests between processes, the first and the last.
    pub fn replication_ports(&self) -> (u16, u16) {
        let first = self.base + Purpose::Replication as u16 * WIDTH;
        (first, first + WIDTH - 1)
    }

    /// The port on which a process serves metrics.
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

    /// The port of a program other than Synapse.
    pub fn service(&self, service: ServicePort) -> u16 {
        self.base + service as u16
    }

    fn port(&self, purpose: Purpose, process: &str) -> u16 {
        let slot = self.slots.get(process).copied().unwrap_or_default();
        self.base + purpose as u16 * WIDTH + slot
    }
}

/// The socket address of a port on 127.0.0.1.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
