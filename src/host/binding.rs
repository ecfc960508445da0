//! Whether a port is free, tested by binding it in the same way as the unit that needs it.

use crate::state::ports::Transport;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
    sockopt,
};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

/// Whether another program uses the port. An address that this host does not have counts as free.
pub(super) fn in_use(transport: Transport, address: SocketAddr) -> bool {
    try_bind(transport, address) == Err(Errno::EADDRINUSE)
}

/// Binds an address and closes the socket at once. It uses nginx's options: IPv6 sockets accept IPv6 only
/// (`ipv6only=on`), so a program on the same IPv4 port does not conflict; and connections that are still closing do not
/// prevent the bind.
fn try_bind(transport: Transport, address: SocketAddr) -> nix::Result<()> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let kind = match transport {
        Transport::Tcp => SockType::Stream,
        Transport::Udp => SockType::Datagram,
    };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, None)?;
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    if transport == Transport::Udp {
        return bind(socket.as_raw_fd(), &SockaddrStorage::from(address));
    }
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    // Two sockets can bind the same port; the first one that listens gets it.
    listen(&socket, Backlog::new(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

    const V4: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
    const V6: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

    fn tcp(address: impl Into<std::net::IpAddr>, port: u16) -> bool {
        in_use(Transport::Tcp, SocketAddr::new(address.into(), port))
    }

    #[test]
    fn a_program_on_ipv4_is_not_in_the_way_of_ipv6() {
        let taken = TcpListener::bind((V4, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(tcp(V4, port) && tcp(Ipv4Addr::LOCALHOST, port));
        assert!(!tcp(V6, port) && !tcp(Ipv6Addr::LOCALHOST, port));
        drop(taken);
        assert!(!tcp(V4, port));
    }

    #[test]
    fn a_program_on_both_is_in_the_way_of_both() {
        // The standard library binds IPv6 sockets that accept IPv4 as well.
        let taken = TcpListener::bind((V6, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(tcp(V6, port) && tcp(V4, port));
    }

    #[test]
    fn udp_is_another_port_than_tcp() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = taken.local_addr().unwrap();
        assert!(in_use(Transport::Udp, address));
        assert!(in_use(
            Transport::Udp,
            SocketAddr::new(V4.into(), address.port())
        ));
        assert!(!in_use(
            Transport::Udp,
            SocketAddr::new(V6.into(), address.port())
        ));
    }

    #[test]
    fn an_address_of_another_host_is_not_in_use() {
        assert!(!tcp(Ipv4Addr::new(192, 0, 2, 1), 1));
    }
}
