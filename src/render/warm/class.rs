//! The classes of forked processes: one has the mount and network namespaces of its fork server, so a fork server becomes two
//! processes, one for each kind of network access, and a process must reach none that has more.

use super::super::Input;
use super::super::network;
use super::super::sandbox::Network;
use crate::state::paths;

/// The network access of forked processes, from the most to the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Class {
    /// The host's network.
    Open,
    /// A network namespace of its own.
    Isolated,
}

/// All classes, from the most to the least network access.
const CLASSES: [Class; 2] = [Class::Open, Class::Isolated];

impl Class {
    /// The class of a process with this network access; `None` if it starts plainly.
    ///
    /// The limit to certain addresses belongs to the control group, not to the namespaces. systemd moves a process into
    /// the control group of each unit of the same user that has `Delegate=yes`, as the units of forked processes do, if
    /// any process of that user asks over D-Bus. With such a limit in a deployment, only processes of the host's network
    /// are therefore forked, and the others do not see D-Bus.
    pub fn of(input: &Input, network: Network) -> Option<Self> {
        match network {
            Network::Host => Some(Self::Open),
            Network::None if !has_limited_workers(input) => Some(Self::Isolated),
            Network::None
            | Network::Loopback
            | Network::Only(_)
            | Network::Hosts
            | Network::HostsAndServices => None,
        }
    }

    /// The directory with the sockets for its processes, in a directory for each fork server.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Open => paths::OPEN_FORK_SERVERS,
            Self::Isolated => paths::ISOLATED_FORK_SERVERS,
        }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        CLASSES.into_iter()
    }
}

/// Whether a worker reaches certain addresses only.
fn has_limited_workers(input: &Input) -> bool {
    let limited = |network| !matches!(network, Network::None | Network::Host);
    let mut workers = input.workers();
    workers.any(|worker| limited(network::of_worker(input, worker)))
}

/// The directories that a process with this network access must not see while processes are forked: those of fork
/// servers with more access, and that of D-Bus if it needs none.
pub(super) fn hidden(input: &Input, network: Network) -> Vec<&'static str> {
    if network == Network::Host {
        return Vec::new();
    }
    let class = Class::of(input, network);
    let more = |other: &Class| class.is_none_or(|class| *other < class);
    let bus = class.is_none().then_some(paths::BUS);
    let more = CLASSES.into_iter().filter(more).map(Class::directory);
    more.chain(bus).collect()
}
