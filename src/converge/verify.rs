//! Verification: whether what runs is what was planned, asked of the processes themselves.

use crate::endpoints::{Endpoint, Endpoints};
use crate::host::certificate::Pair;
use crate::host::postgres::Access;
use crate::host::redis::Remote;
use crate::host::{self, Host, Peer};
use crate::paths;
use crate::plan::names;
use crate::render::metrics::Target;
use crate::topology::{RoutingTable, Topology};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What has to be true.
#[derive(Default)]
pub struct Expected {
    /// Units that are active.
    pub units: BTreeSet<String>,
    /// Everything that has metrics.
    pub metrics: Vec<Target>,
    /// The routes that processes answer and where these listen, where there is a topology.
    pub topology: Option<(Topology, Endpoints)>,
    /// Where nginx listens.
    pub fronts: Vec<Front>,
    /// Certificate and key, with the units that have a copy of them.
    pub certificate: Option<(Pair, Vec<&'static str>)>,
    /// The server's name: Synapse's channel in Redis.
    pub server_name: String,
    /// PostgreSQL as Synapse reaches it.
    pub database: Option<Access>,
    /// A Redis of the administrator's, with the file that has its password.
    pub redis: Option<(Remote, Option<PathBuf>)>,
}

/// A way into nginx.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Front {
    Plain(SocketAddr),
    Tls(SocketAddr),
    Socket(String),
}

impl Expected {
    /// Where a process is asked.
    fn peer(&self, process: &str) -> Option<Peer> {
        let (_, endpoints) = self.topology.as_ref()?;
        Some(Peer::At(endpoints.public(process)))
    }
}

/// One thing that is looked at.
pub struct Probe {
    pub name: &'static str,
    ask: fn(&Host, &Expected) -> Result<String>,
}

/// All of them. Each says in a few words what it saw.
pub static PROBES: &[Probe] = &[
    Probe {
        name: "units",
        ask: units,
    },
    Probe {
        name: "health",
        ask: health,
    },
    Probe {
        name: "redis",
        ask: redis,
    },
    Probe {
        name: "database",
        ask: database,
    },
    Probe {
        name: "nginx",
        ask: nginx,
    },
    Probe {
        name: "certificate",
        ask: certificate,
    },
    Probe {
        name: "metrics",
        ask: metrics,
    },
    Probe {
        name: "routes",
        ask: routes,
    },
];

/// Asks everything; what a probe saw, or what is wrong.
pub fn probe<'a>(
    host: &'a Host,
    expected: &'a Expected,
) -> impl Iterator<Item = (&'static str, Result<String>)> + 'a {
    PROBES
        .iter()
        .map(|probe| (probe.name, (probe.ask)(host, expected)))
}

/// How long a deployment may take to be as it should: subscriptions to Redis and nginx's new listeners come a moment
/// after the jobs that bring them are done.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails with everything that is still wrong when patience ends.
pub fn verify(host: &Host, expected: &Expected) -> Result<()> {
    let begun = Instant::now();
    let mut wrong = all_wrong(host, expected);
    while !wrong.is_empty() && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(200));
        wrong = all_wrong(host, expected);
    }
    ensure!(
        wrong.is_empty(),
        "verification failed\n  {}",
        wrong.join("\n  ")
    );
    Ok(())
}

fn all_wrong(host: &Host, expected: &Expected) -> Vec<String> {
    probe(host, expected)
        .filter_map(|(name, result)| Some(format!("{name}: {:#}", result.err()?)))
        .collect()
}

fn units(host: &Host, expected: &Expected) -> Result<String> {
    let found = host.systemd.units()?;
    let down: Vec<&str> = expected
        .units
        .iter()
        .filter(|unit| !found.get(*unit).is_some_and(|state| state.active))
        .map(String::as_str)
        .collect();
    ensure!(
        down.is_empty(),
        "not active: {}; see: systemctl status {}",
        down.join(", "),
        down.join(" ")
    );
    Ok(format!("{} active", expected.units.len()))
}

/// The processes that Synapse runs in, by the name of their sockets.
fn processes(expected: &Expected) -> Vec<&str> {
    let units = expected.units.iter().filter(|unit| names::is_synapse(unit));
    units
        .map(|unit| names::worker_of(unit).unwrap_or("main"))
        .collect()
}

fn health(_: &Host, expected: &Expected) -> Result<String> {
    let processes = processes(expected);
    let mut ill = Vec::new();
    for process in &processes {
        let Some(peer) = expected.peer(process) else {
            continue;
        };
        match host::get(&peer, "GET", "/health") {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => ill.push(format!("{process} answers {}", answer.status)),
            Err(error) => ill.push(format!("{process}: {error:#}")),
        }
    }
    ensure!(ill.is_empty(), "{}", ill.join("; "));
    Ok(format!("{} processes answer", processes.len()))
}

/// Every process listens to the channel that carries replication.
fn redis(host: &Host, expected: &Expected) -> Result<String> {
    let channel = &expected.server_name;
    let counts = match &expected.redis {
        Some((remote, file)) => {
            let password = match file {
                Some(file) => host::read_text(file)?,
                None => None,
            };
            let command = ["PUBSUB", "NUMSUB", channel];
            remote
                .ask(&host.facts.python, password.as_deref(), &command)
                .with_context(|| format!("{} port {}", remote.host, remote.port))?
        }
        None if expected.units.contains(names::REDIS) => {
            host::redis::ask(&paths::redis_socket(), &format!("PUBSUB NUMSUB {channel}"))?
        }
        None => return Ok("not used".to_owned()),
    };
    let listening: usize = counts
        .get(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let processes = processes(expected).len();
    ensure!(
        listening >= processes,
        "{listening} of {processes} processes listen to replication"
    );
    Ok(format!("{listening} processes listen"))
}

fn database(_: &Host, expected: &Expected) -> Result<String> {
    match &expected.database {
        Some(access) => {
            host::postgres::reachable(access)?;
            Ok(format!("{} answers", access.database))
        }
        None => Ok("not asked".to_owned()),
    }
}

/// The address at which this host reaches what listens there.
fn near(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    SocketAddr::new(ip, address.port())
}

fn nginx(_: &Host, expected: &Expected) -> Result<String> {
    let mut seen = Vec::new();
    for front in &expected.fronts {
        let (peer, name) = match front {
            Front::Plain(address) => (Peer::Address(near(*address)), near(*address).to_string()),
            Front::Socket(path) => (Peer::At(Endpoint::Socket(path.clone())), path.clone()),
            // What it says under TLS, the other ways in tell; the certificate has a probe of its own.
            Front::Tls(address) => {
                host::reachable(near(*address))?;
                seen.push(near(*address).to_string());
                continue;
            }
        };
        let answer = host::get(&peer, "GET", "/_matrix/client/versions")?;
        ensure!(
            answer.status == 200,
            "{name} answers {} for /_matrix/client/versions",
            answer.status
        );
        seen.push(name);
    }
    Ok(format!("{} answers", seen.join(" and ")))
}

fn certificate(_: &Host, expected: &Expected) -> Result<String> {
    let Some((pair, units)) = &expected.certificate else {
        return Ok("not used".to_owned());
    };
    for unit in units {
        ensure!(
            pair.is_with(unit)?,
            "{unit} has not got the certificate of the settings; see: journalctl -u {}",
            names::HAND_OVER
        );
    }
    Ok(format!("with {}", units.join(" and ")))
}

/// Everything that Prometheus asks answers, Prometheus itself included. An exporter whose program cannot be reached
/// says so in its metrics, and Prometheus in an alert.
fn metrics(_: &Host, expected: &Expected) -> Result<String> {
    if expected.metrics.is_empty() {
        return Ok("not used".to_owned());
    }
    let mut silent = Vec::new();
    for target in &expected.metrics {
        let peer = Peer::At(Endpoint::Port(target.port));
        match host::get(&peer, "GET", target.path) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => silent.push(format!("{} answers {}", target.name, answer.status)),
            Err(error) => silent.push(format!("{}: {error:#}", target.name)),
        }
    }
    ensure!(silent.is_empty(), "{}", silent.join("; "));
    Ok(format!("{} answer", expected.metrics.len()))
}

/// A process that has the servlet asks for a token or an argument; one that has not answers 404 `M_UNRECOGNIZED`.
fn routes(_: &Host, expected: &Expected) -> Result<String> {
    let Some((topology, endpoints)) = &expected.topology else {
        return Ok("not asked".to_owned());
    };
    let table = RoutingTable::new(topology);
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in table.routes.iter().filter(|route| route.needs.is_none()) {
        let Some(upstream) = table
            .upstreams
            .iter()
            .find(|upstream| upstream.name == route.upstream)
        else {
            bail!("route {} names no upstream", route.pattern);
        };
        for server in &upstream.servers {
            // Asked for somebody else's server, Synapse would go and ask that one.
            let (method, path) = route.probe();
            let path = &path.replace("example.com", &expected.server_name);
            asked += 1;
            match host::get(&Peer::At(endpoints.public(server)), method, path) {
                Ok(answer) if answer.has_servlet() => {}
                Ok(answer) => wrong.push(format!(
                    "{server} answers {} to {}",
                    answer.status, route.example
                )),
                Err(error) => wrong.push(format!("{server} to {}: {error:#}", route.example)),
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(format!("{asked} answered by the process that should"))
}
