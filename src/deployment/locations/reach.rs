//! The network access that nginx needs to pass requests on.

use crate::settings::types::is_loopback;

/// The servers to which the locations of the administrator pass requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// None, or only servers at Unix sockets.
    #[default]
    Sockets,
    /// Servers on loopback addresses of this host.
    Loopback,
    /// Servers on other hosts, or servers that are known only when a request arrives.
    Network,
}

/// Directives that pass a request to the server that their argument names (nginx's documentation of its HTTP modules).
const PASSING: [&str; 6] = [
    "fastcgi_pass",
    "grpc_pass",
    "memcached_pass",
    "proxy_pass",
    "scgi_pass",
    "uwsgi_pass",
];

/// What a directive reaches.
pub(super) fn of(words: &[String]) -> Reach {
    match words {
        [name, place, ..] if PASSING.contains(&name.as_str()) => of_place(place),
        // It sends queries to name servers.
        [name, ..] if name == "resolver" => Reach::Network,
        _ => Reach::Sockets,
    }
}

/// What an address reaches: a URL, or a host with a port.
fn of_place(place: &str) -> Reach {
    let place = place.split_once("://").map_or(place, |(_, rest)| rest);
    if place.starts_with("unix:") {
        return Reach::Sockets;
    }
    let authority = place.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    // After the port there may be variables that belong to the path.
    let port_varies = authority.contains('$') && !is_fixed(authority);
    match is_loopback(host) && !port_varies {
        true => Reach::Loopback,
        false => Reach::Network,
    }
}

/// Whether variables follow only after host and port, as in `127.0.0.1:8080$request_uri`.
fn is_fixed(authority: &str) -> bool {
    let fixed = authority.split('$').next().unwrap_or_default();
    let port = fixed.rsplit(':').next().unwrap_or_default();
    fixed.contains(':') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_decides_what_nginx_must_reach() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for (line, reach) in [
            ("return 200", Reach::Sockets),
            ("proxy_pass http://unix:/run/a/a.sock", Reach::Sockets),
            ("fastcgi_pass unix:/run/php/php.sock", Reach::Sockets),
            ("proxy_pass http://127.0.0.1:8080", Reach::Loopback),
            ("proxy_pass http://127.0.0.1:8080/a/$1", Reach::Loopback),
            (
                "proxy_pass http://127.0.0.1:8080$request_uri",
                Reach::Loopback,
            ),
            ("proxy_pass http://127.0.0.1:$port", Reach::Network),
            ("proxy_pass http://127.0.0.1", Reach::Loopback),
            ("proxy_pass https://[::1]:8443/", Reach::Loopback),
            ("grpc_pass grpc://localhost:50051", Reach::Loopback),
            ("uwsgi_pass localhost:9000", Reach::Loopback),
            ("proxy_pass http://10.0.0.5:8080", Reach::Network),
            ("proxy_pass http://jitsi.example.org", Reach::Network),
            ("proxy_pass http://localhost.example.org", Reach::Network),
            ("proxy_pass http://$service", Reach::Network),
            ("proxy_pass $service", Reach::Network),
            ("resolver 127.0.0.53", Reach::Network),
        ] {
            assert_eq!(of(&words(line)), reach, "{line}");
        }
    }
}
