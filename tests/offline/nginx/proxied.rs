//! The PROXY protocol: the address of a client counts if a trusted proxy sends it, and nobody else is answered.

use super::super::setup::{Setup, text};
use super::running::Nginx;
use super::{accepted, on_this_machine};
use std::net::Ipv4Addr;
use synapse_workers::state::State;

const CLIENT: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

fn nginx(trusted: &str) -> Nginx {
    let lines = format!("trusted_proxies: ['{trusted}']\nnginx: {{proxy_protocol_ports: [8009]}}");
    Nginx::start(Setup::new("").settings(&lines))
}

fn request(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{headers}Host: x\r\nConnection: close\r\n\r\n").into_bytes()
}

/// The header of version 1 (proxy-protocol.txt, section 2.1).
fn version_1(client: Ipv4Addr) -> Vec<u8> {
    format!("PROXY TCP4 {client} 192.0.2.1 50000 443\r\n").into_bytes()
}

/// The header of version 2 for TCP over IPv4 (section 2.2).
fn version_2(client: Ipv4Addr) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend(client.octets());
    header.extend([192, 0, 2, 1, 0xc3, 0x50, 0x01, 0xbb]);
    header
}

#[test]
fn synapse_receives_the_address_from_a_trusted_proxy() {
    let nginx = nginx("127.0.0.0/8");
    for header in [version_1(CLIENT), version_2(CLIENT)] {
        // A proxy that forwards TCP passes on the headers of the client, which do not count.
        let headers = "X-Forwarded-For: 198.51.100.1\r\nX-Forwarded-Proto: https\r\n";
        let answer = nginx.ask_through_proxy(&header, &request("/_matrix/forwarded/200", headers));
        assert_eq!(answer.status(), 200, "{}", answer.body());
        assert_eq!(answer.body(), "For: 203.0.113.7, Proto: http, Host: x");
    }
}

#[test]
fn a_client_of_a_proxy_is_never_this_host() {
    let nginx = nginx("127.0.0.1");
    let admin = request("/_synapse/admin/200", "");
    assert_eq!(nginx.ask(&admin).status(), 403, "over the Unix socket");
    let unknown = b"PROXY UNKNOWN\r\n".to_vec();
    for header in [
        version_1(Ipv4Addr::LOCALHOST),
        version_2(Ipv4Addr::LOCALHOST),
        unknown,
    ] {
        let answer = nginx.ask_through_proxy(&header, &admin);
        assert_eq!(answer.status(), 403, "{}", answer.body());
    }
}

#[test]
fn other_peers_and_connections_without_an_address_get_no_answer() {
    let other = nginx("192.0.2.77");
    for header in [version_1(CLIENT), version_2(CLIENT)] {
        let answer = other.ask_through_proxy(&header, &request("/_matrix/200", ""));
        assert_eq!((answer.status(), answer.body()), (0, ""));
        // A request that nginx cannot parse leads to an error page of nginx.
        let answer = other.ask_through_proxy(&header, b"GARBAGE\r\n\r\n");
        assert_eq!((answer.status(), answer.body()), (0, ""));
    }
    let trusted = nginx("127.0.0.1");
    let answer = trusted.ask_through_proxy(b"", &request("/_matrix/200", ""));
    assert_eq!((answer.status(), answer.body()), (0, ""));
}

/// The listeners of both servers, as nginx and systemd have them.
#[test]
fn each_port_has_its_listeners_for_nginx_and_systemd() {
    let tls = "tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key}\n";
    let ports = "nginx: {proxy_protocol_ports: [8444, 8449]}\nbind_addresses: [0.0.0.0]\n";
    let listens = |state: &State| -> Vec<String> {
        let lines = text(state, "nginx/listen-proxied.conf").lines();
        lines
            .filter(|line| line.starts_with("listen "))
            .map(str::to_owned)
            .collect()
    };
    let held = on_this_machine(Setup::new("small").settings(&format!("{tls}{ports}")));
    let state = held.state();
    accepted(&state, "with TLS");
    let ssl = if held.facts.nginx >= (1, 25) {
        "ssl"
    } else {
        "ssl http2"
    };
    assert_eq!(
        listens(&state),
        [8444, 8449].map(|port| format!("listen 0.0.0.0:{port} {ssl} proxy_protocol;"))
    );
    let socket = text(&state, "host/etc/systemd/system/synapse-nginx.socket");
    assert!(socket.contains("\nListenStream=0.0.0.0:8449\n"), "{socket}");
    let own =
        on_this_machine(Setup::new("small").settings(&format!("{ports}sockets: {{held: false}}")));
    let state = own.state();
    accepted(&state, "without TLS");
    assert_eq!(
        listens(&state)[0],
        "listen 0.0.0.0:8444 proxy_protocol backlog=4096;"
    );
}
