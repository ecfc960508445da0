//! Ports that this program's units bind.

use std::net::SocketAddr;

/// The transport protocol of a [`BoundPort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// With or without TLS.
    Tcp,
    /// With or without DTLS; only coturn binds such ports.
    Udp,
}

/// A port that a unit of this program binds while it runs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundPort {
    /// The protocol; the same port of the other one is independent.
    pub transport: Transport,
    /// The address and the port; an unspecified address stands for all of its family.
    pub address: SocketAddr,
    /// The unit whose process binds it.
    pub unit: String,
    /// The setting that determines the port.
    pub setting: &'static str,
}

impl BoundPort {
    /// Whether the two cannot be bound at the same time: they have the same port, and either the same address or,
    /// within one family, an unspecified address.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let (one, two) = (self.address, other.address);
        let any = one.ip().is_unspecified() || two.ip().is_unspecified();
        self.transport == other.transport
            && one.port() == two.port()
            && (one.ip() == two.ip() || any && one.is_ipv4() == two.is_ipv4())
    }

    /// The rule for `SocketBindAllow=` (systemd.resource-control(5)).
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
