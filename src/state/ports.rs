//! A port that one of our units binds.

use std::net::SocketAddr;

/// See [`BoundPort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
}

/// A port, bound by a unit of ours while it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundPort {
    pub transport: Transport,
    pub address: SocketAddr,
    pub unit: String,
    /// Another value of this one moves it.
    pub setting: &'static str,
}

impl BoundPort {
    /// Whether nobody can bind both: the same port, and one of the addresses means all of its kind.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let (one, two) = (self.address, other.address);
        let any = one.ip().is_unspecified() || two.ip().is_unspecified();
        self.transport == other.transport
            && one.port() == two.port()
            && (one.ip() == two.ip() || any && one.is_ipv4() == two.is_ipv4())
    }

    /// As `SocketBindAllow=` has it (systemd.resource-control(5)).
    pub fn rule(&self) -> String {
        let family = match self.address {
            SocketAddr::V4(_) => "ipv4",
            SocketAddr::V6(_) => "ipv6",
        };
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        format!("{family}:{transport}:{}", self.address.port())
    }
}

impl std::fmt::Display for BoundPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "",
            Transport::Udp => "UDP ",
        };
        let (address, port) = (self.address.ip(), self.address.port());
        write!(f, "{address} {transport}port {port} ({})", self.setting)
    }
}
