//! The sandbox of every service: one template (`systemd/sandbox.conf`) and a row of switches per unit.
//!
//! A row states what its program needs beyond the minimum. `systemd-analyze security` scores the result.

mod rows;

use super::{Input, filters};
use crate::state::ports::BoundPort;
use crate::state::units;
use anyhow::{Context, Result};
use askama::Template;
use rows::{ROWS, Row};
use std::net::IpAddr;

/// The network access of a service, from the least to the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Network {
    /// A private network namespace. Sockets passed by systemd work in it all the same.
    None,
    /// The host's network, restricted to packets from and to loopback addresses.
    Loopback,
    /// The host's network, restricted to packets from and to loopback addresses and this address.
    Only(IpAddr),
    /// The host's network, restricted to packets from and to loopback addresses and the hosts of this server.
    Hosts,
    /// The same, and the services that every process of Synapse uses, each given by its address.
    HostsAndServices,
    /// The host's network.
    Host,
}

/// The sandbox section of a unit file.
#[derive(Template)]
#[template(path = "sandbox.conf")]
pub(super) struct Sandbox {
    row: &'static Row,
    network: Network,
    families: String,
    capabilities: &'static str,
    ambient: bool,
    /// Whether the user namespace contains only the service's user and root. Capabilities count only outside such a
    /// namespace.
    private_users: bool,
    reads_proc: bool,
    shares_tmp: bool,
    sees_home: bool,
    /// Whether every line of its log begins with a priority, including further lines of a record.
    prefixes_lines: bool,
    writable: Vec<String>,
    /// The addresses of [`Network::Hosts`] and [`Network::HostsAndServices`].
    addresses: Vec<IpAddr>,
    /// The addresses that may be bound, in the syntax of `SocketBindAllow=`; `None` allows all.
    binds: Option<Vec<String>>,
}

/// The network access of a worker that needs less than others, as a drop-in for the unit file that all workers share.
#[derive(Template)]
#[template(path = "worker-network.conf")]
pub(super) struct WorkerNetwork {
    network: Network,
    families: String,
    addresses: Vec<IpAddr>,
    binds: Option<Vec<String>>,
    /// Directories that are inaccessible.
    hidden: Vec<&'static str>,
}

impl WorkerNetwork {
    /// The name of the drop-in. It sorts before that of the drop-in that `systemctl edit` creates, which can therefore
    /// override it.
    pub const FILE: &str = "50-network.conf";

    /// Renders the drop-in, with directories that the worker must not see.
    ///
    /// # Errors
    /// Fails only if the template cannot be rendered.
    pub fn drop_in(input: &Input, network: Network, hidden: Vec<&'static str>) -> Result<String> {
        let file = Self {
            hidden,
            network,
            families: families(row(units::WORKERS)?, network),
            addresses: addresses(input, network),
            binds: Some(Vec::new()),
        };
        Ok(file.render()?)
    }
}

/// The sandbox of a unit file, given the ports that all units bind.
///
/// # Errors
/// Fails if the unit has no row, which a test excludes.
pub(super) fn of(input: &Input, ports: &[BoundPort], unit: &str) -> Result<Sandbox> {
    let row = row(unit)?;
    let network = (row.network)(input);
    let capabilities = (row.capabilities)(input, network);
    Ok(Sandbox {
        row,
        network,
        families: families(row, network),
        capabilities,
        ambient: row.is_unprivileged && !capabilities.is_empty(),
        private_users: row.is_unprivileged && capabilities.is_empty() && !row.sees_users,
        reads_proc: (row.reads_proc)(input),
        shares_tmp: (row.shares_tmp)(input),
        sees_home: (row.sees_home)(input),
        prefixes_lines: (row.prefixes_lines)(input),
        writable: (row.writable)(input),
        addresses: addresses(input, network),
        binds: binds(input, ports, row, network),
    })
}

/// The addresses that a service may reach besides loopback addresses, if they are the reason for its access.
fn addresses(input: &Input, network: Network) -> Vec<IpAddr> {
    match network {
        Network::Hosts => input.cluster_addresses(),
        Network::HostsAndServices => {
            let hosts = input.cluster_addresses().into_iter();
            let services = input.service_addresses().into_iter().flatten();
            let mut all: Vec<IpAddr> = Vec::new();
            for address in hosts.chain(services) {
                if !all.contains(&address) {
                    all.push(address);
                }
            }
            all
        }
        Network::None | Network::Loopback | Network::Only(_) | Network::Host => Vec::new(),
    }
}

/// The socket address families that a service may use, in the syntax of `RestrictAddressFamilies=`.
fn families(row: &Row, network: Network) -> String {
    let kinds = [
        ("AF_UNIX", row.unix),
        ("AF_INET AF_INET6", network != Network::None),
        ("AF_NETLINK", network == Network::Host && row.netlink),
    ];
    let open = kinds.into_iter().filter(|(_, open)| *open);
    let open: Vec<&str> = open.map(|(kind, _)| kind).collect();
    match open.is_empty() {
        true => "none".to_owned(),
        false => open.join(" "),
    }
}

/// The addresses that a service may bind: none without network access, otherwise its own ports and those of its row.
fn binds(input: &Input, ports: &[BoundPort], row: &Row, network: Network) -> Option<Vec<String>> {
    let more = match network {
        Network::None => return Some(Vec::new()),
        Network::Loopback | Network::Only(_) => Vec::new(),
        Network::Hosts | Network::HostsAndServices => Vec::new(),
        Network::Host => (row.binds)(input)?,
    };
    let own = ports.iter().filter(|bound| bound.unit == row.unit);
    Some(own.map(BoundPort::rule).chain(more).collect())
}

fn row(unit: &str) -> Result<&'static Row> {
    let mut rows = ROWS.iter();
    let row = rows.find(|row| row.unit == unit);
    row.with_context(|| format!("{unit} has no row in the sandbox table"))
}
