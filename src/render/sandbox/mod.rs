//! The sandbox of every service: one template (`systemd/sandbox.conf`), and for each unit a row of switches.
//!
//! A row states what its program needs beyond the least. `systemd-analyze security` weighs the result.

mod rows;

use super::{Input, filters, ports};
use crate::plan::names;
use anyhow::{Context, Result};
use askama::Template;
use rows::{ROWS, Row};

/// Which network a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// A namespace of its own, in which nobody else is. Sockets that systemd holds work all the same.
    None,
    /// This host's, but packets to and from loopback addresses only.
    Loopback,
    /// This host's.
    Host,
}

/// A rendered sandbox, to be put into a unit file.
#[derive(Template)]
#[template(path = "sandbox.conf")]
pub(super) struct Sandbox {
    row: &'static Row,
    network: Network,
    families: String,
    capabilities: &'static str,
    ambient: bool,
    /// Its user and root are the only ones of its user namespace; capabilities count outside of one only.
    private_users: bool,
    reads_proc: bool,
    shares_tmp: bool,
    sees_home: bool,
    writable: Vec<String>,
    /// What may be bound, as `SocketBindAllow=` has it; none: everything.
    binds: Option<Vec<String>>,
}

/// The network of a worker that sends nothing, as a drop-in beside the unit file of all workers.
#[derive(Template)]
#[template(path = "worker-network.conf")]
pub(super) struct WorkerNetwork {
    network: Network,
    families: String,
    binds: Option<Vec<String>>,
}

impl WorkerNetwork {
    /// The text of the file.
    ///
    /// # Errors
    /// Only when the template cannot be rendered.
    pub fn none() -> Result<String> {
        let file = Self {
            network: Network::None,
            families: families(row(names::WORKERS)?, Network::None),
            binds: Some(Vec::new()),
        };
        Ok(file.render()?)
    }
}

/// The sandbox of a unit file.
///
/// # Errors
/// Where the unit has no row, which a test excludes.
pub(super) fn of(input: &Input, unit: &str) -> Result<Sandbox> {
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
        writable: (row.writable)(input),
        binds: binds(input, row, network),
    })
}

/// The kinds of sockets that a service may open, as `RestrictAddressFamilies=` has them.
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

/// What a service may bind: nothing where it has no network, and else its ports.
fn binds(input: &Input, row: &Row, network: Network) -> Option<Vec<String>> {
    let more = match network {
        Network::None => return Some(Vec::new()),
        Network::Loopback => Vec::new(),
        Network::Host => (row.binds)(input)?,
    };
    let bound = ports::bound(input).into_iter();
    let own = bound.filter(|bound| bound.unit == row.unit);
    Some(own.map(|bound| bound.rule()).chain(more).collect())
}

fn row(unit: &str) -> Result<&'static Row> {
    let mut rows = ROWS.iter();
    let row = rows.find(|row| row.unit == unit);
    row.with_context(|| format!("{unit} has no row of a sandbox"))
}
