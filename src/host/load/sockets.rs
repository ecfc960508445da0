//! The number of open connections to the sockets and ports of processes.

use super::super::files;
use crate::deployment::endpoints::Endpoint;
use std::collections::BTreeMap;

/// The open connections of this host by the socket or port that accepted them.
pub(super) struct Accepted {
    sockets: BTreeMap<String, u64>,
    ports: BTreeMap<u16, u64>,
}

impl Accepted {
    /// Reads them, as far as they are in the network namespace of this program.
    pub fn read() -> Self {
        let own = std::process::id();
        let text = |name: &str| {
            let read = files::of_process(own, name).unwrap_or_default();
            String::from_utf8_lossy(&read).into_owned()
        };
        Self {
            sockets: sockets(&text("net/unix")),
            ports: ports(&text("net/tcp")),
        }
    }

    /// The open connections to an endpoint.
    pub fn at(&self, endpoint: &Endpoint) -> u64 {
        let found = match endpoint {
            Endpoint::Socket(path) => self.sockets.get(path),
            Endpoint::Port(port) => self.ports.get(port),
            Endpoint::Address(address) => self.ports.get(&address.port()),
        };
        found.copied().unwrap_or(0)
    }
}

/// Connected sockets (state 03) by their path: one that was accepted has the path of the socket that listens.
fn sockets(text: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace().skip(5);
        if let (Some("03"), Some(path)) = (words.next(), words.nth(1)) {
            *found.entry(path.to_owned()).or_default() += 1;
        }
    }
    found
}

/// Established connections (state 01) by their local port.
fn ports(text: &str) -> BTreeMap<u16, u64> {
    let mut found = BTreeMap::new();
    for line in text.lines().skip(1) {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next(), words.nth(1));
        let port = local.and_then(|local| u16::from_str_radix(local.split_once(':')?.1, 16).ok());
        if let (Some(port), Some("01")) = (port, state) {
            *found.entry(port).or_default() += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_connected_sockets_count() {
        let unix = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 17 /run/a.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 18 /run/a.sock\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 19\n";
        assert_eq!(sockets(unix), [("/run/a.sock".to_owned(), 1)].into());
        let tcp = "  sl  local_address rem_address   st\n\
            0: 0100007F:1F90 00000000:0000 0A 0\n   1: 0100007F:1F90 0100007F:9C40 01 0\n";
        assert_eq!(ports(tcp), [(8080, 1)].into());
    }
}
