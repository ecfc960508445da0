//! The conditions that verification checks after a state is applied.

use crate::deployment::endpoints::{Endpoint, Endpoints, ServicePort};
use crate::deployment::secrets::OWN_REDIS_PASSWORD;
use crate::host::Peer;
use crate::host::certificate::Pair;
use crate::host::postgres::Access;
use crate::host::redis::{Remote, Server};
use crate::render::metrics::Target;
use crate::render::{self, Input, nginx};
use crate::settings::types::ServiceUrl;
use crate::state::{HOST, Resource, State, paths, units};
use crate::topology::{Differences, RoutingTable, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The expected state of a running deployment.
#[derive(Default)]
pub struct Expected {
    /// Units that must be active; no other unit of this program may be.
    pub units: BTreeSet<String>,
    /// Files that must exist on the host, by their path in a generation; other files of this program must not.
    pub files: BTreeSet<String>,
    /// All endpoints of metrics.
    pub metrics: Vec<Target>,
    /// Prometheus and the Alertmanager that it sends alerts to; `None` if no alerts are delivered.
    pub alerting: Option<Alerting>,
    /// The processes and their endpoints; `None` without a topology.
    pub topology: Option<(Topology, Endpoints)>,
    /// The routes to them; `None` without a topology.
    pub routes: Option<RoutingTable>,
    /// The workers that write each stream and send their positions in it, by its key in `stream_writers`.
    pub writers: BTreeMap<&'static str, Vec<String>>,
    /// The URL of the Matrix Authentication Service.
    pub mas: Option<ServiceUrl>,
    /// The differences of the installed Synapse from the routing table, or why they are unknown. They are requested once.
    pub answer: OnceLock<Result<Differences, String>>,
    /// The addresses and sockets that nginx listens on.
    pub entrypoints: Vec<Entrypoint>,
    /// Certificate and key, with the units that have a copy of them.
    pub certificate: Option<(Pair, Vec<&'static str>)>,
    /// The server's name, which is also Synapse's channel in Redis.
    pub server_name: String,
    /// PostgreSQL with the credentials of Synapse.
    pub database: Option<Access>,
    /// The maximum number of connections that each process opens to it.
    pub pool: u32,
    /// The Redis that carries replication; `None` without workers.
    pub redis: Option<Server>,
}

/// The ports of Prometheus and Alertmanager.
pub struct Alerting {
    /// The port of Prometheus.
    pub prometheus: u16,
    /// The port of Alertmanager.
    pub alertmanager: u16,
}

/// A way into nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entrypoint {
    /// HTTP without TLS (`http_port`, `http_federation_port`).
    Plain(SocketAddr),
    /// HTTPS with the certificate of the settings (`tls`).
    Tls(SocketAddr),
    /// A port that expects the PROXY protocol from trusted proxies (`nginx.proxy_protocol_ports`).
    Proxied(SocketAddr),
    /// The port at which the authority of `tls.acme` asks; HTTP that leads to HTTPS.
    Challenge(SocketAddr),
    /// The path of the Unix socket for a reverse proxy (`nginx.listen_unix_socket`); HTTP without TLS.
    Socket(String),
}

impl Expected {
    /// The conditions for this state of a deployment.
    pub fn of(input: &Input, desired: &State) -> Self {
        let all = Self::of_first(input, desired);
        if input.is_first() {
            return all;
        }
        // The first host probes the processes of all hosts, as their clients do.
        Self {
            units: all.units,
            files: all.files,
            server_name: all.server_name,
            database: all.database,
            pool: all.pool,
            ..Self::default()
        }
    }

    fn of_first(input: &Input, desired: &State) -> Self {
        let database = input.database();
        let password = input.database_password();
        let secret = |name: &str| {
            let wanted = desired
                .resources
                .contains(&Resource::Secret(name.to_owned()));
            wanted.then(|| PathBuf::from(paths::secret(name)))
        };
        Self {
            units: desired.units.clone(),
            files: desired
                .files
                .keys()
                .filter(|path| path.starts_with(HOST))
                .cloned()
                .collect(),
            metrics: render::targets::all(input),
            alerting: input.settings.alerts.is_on().then(|| Alerting {
                prometheus: input.settings.metrics.prometheus_port.number(),
                alertmanager: input.endpoints().service(ServicePort::Alertmanager),
            }),
            topology: Some((
                input.topology.clone(),
                Endpoints::new(&input.settings, &input.topology),
            )),
            routes: Some(input.routes()),
            writers: input
                .stream_writers()
                .into_iter()
                .filter(|(key, _)| input.release().sends_positions(key))
                .map(|(key, workers)| (key, workers.into_iter().map(str::to_owned).collect()))
                .collect(),
            mas: input.settings.mas.endpoint.clone(),
            answer: OnceLock::new(),
            entrypoints: entrypoints(input),
            certificate: certificate(input),
            server_name: input.settings.server_name.to_string(),
            // The files of an adopted server may contain more options for its database than host, role and password.
            database: Access::of_synapse(&input.settings, database)
                .filter(|_| input.adopted.is_empty() || secret(password).is_some())
                .map(|access| Access {
                    passfile: secret(password).map(|_| paths::secret("pgpass").into()),
                    ..access
                }),
            pool: input.sizes().cp_max,
            redis: (!input.topology.workers.is_empty()).then(|| {
                match Remote::of(&input.settings) {
                    Some(remote) => Server::External(remote, secret("redis_password")),
                    None => Server::Own(secret(OWN_REDIS_PASSWORD)),
                }
            }),
        }
    }

    /// The endpoint for requests to a process.
    pub(super) fn peer(&self, process: &str) -> Option<Peer> {
        let (_, endpoints) = self.topology.as_ref()?;
        Some(Peer::At(endpoints.public(process)))
    }

    /// The replication endpoint of a process, if other processes send requests to it.
    pub(super) fn replication(&self, process: &str) -> Option<Endpoint> {
        let (_, endpoints) = self.topology.as_ref()?;
        let listens = endpoints.reached().contains(process);
        listens.then(|| endpoints.replication(process))
    }

    /// The Synapse processes, by the name of their sockets.
    pub(super) fn processes(&self) -> Vec<&str> {
        let units = self.units.iter().filter(|unit| units::is_synapse(unit));
        units
            .map(|unit| units::worker_of(unit).unwrap_or("main"))
            .collect()
    }
}

/// The addresses and sockets that nginx listens on.
fn entrypoints(input: &Input) -> Vec<Entrypoint> {
    let settings = &input.settings;
    let plain = nginx::plain_listeners(input);
    let secure = nginx::tls_listeners(input);
    let proxied = nginx::proxied_listeners(input);
    let socket = settings.nginx.listen_unix_socket.iter();
    plain
        .map(Entrypoint::Plain)
        .chain(secure.map(Entrypoint::Tls))
        .chain(proxied.map(Entrypoint::Proxied))
        .chain(nginx::challenge_listeners(input).map(Entrypoint::Challenge))
        .chain(socket.map(|path| Entrypoint::Socket(path.as_str().to_owned())))
        .collect()
}

/// Certificate and key, with the units that read them.
fn certificate(input: &Input) -> Option<(Pair, Vec<&'static str>)> {
    let pair = Pair::of(&input.settings)?;
    Some((pair, render::certificate::readers(input)))
}
