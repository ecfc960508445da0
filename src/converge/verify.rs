//! Verification: whether what runs is what was planned, asked of the processes themselves.

use crate::endpoints::Endpoints;
use crate::host::postgres::Access;
use crate::host::redis::Remote;
use crate::host::{self, Host, Peer};
use crate::paths;
use crate::plan::names;
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
    /// The routes that processes answer and where these listen, where there is a topology.
    pub topology: Option<(Topology, Endpoints)>,
    /// Where nginx listens.
    pub listeners: Vec<(IpAddr, u16)>,
    /// The server's name: Synapse's channel in Redis.
    pub server_name: String,
    /// PostgreSQL as Synapse reaches it.
    pub database: Option<Access>,
    /// A Redis of the administrator's, with the file that has its password.
    pub redis: Option<(Remote, Option<PathBuf>)>,
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

/// Where nginx is asked from this host.
fn fronts(expected: &Expected) -> Vec<SocketAddr> {
    let near = |address: IpAddr| match address {
        IpAddr::V4(any) if any.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(any) if any.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        address => address,
    };
    let listeners = expected.listeners.iter();
    listeners
        .map(|(address, port)| SocketAddr::new(near(*address), *port))
        .collect()
}

fn nginx(_: &Host, expected: &Expected) -> Result<String> {
    let fronts = fronts(expected);
    for front in &fronts {
        let answer = host::get(&Peer::Address(*front), "GET", "/_matrix/client/versions")?;
        ensure!(
            answer.status == 200,
            "{front} answers {} for /_matrix/client/versions",
            answer.status
        );
    }
    let fronts: Vec<String> = fronts.iter().map(ToString::to_string).collect();
    Ok(format!("{} answers", fronts.join(" and ")))
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
