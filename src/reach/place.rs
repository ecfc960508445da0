//! Where a server name leads ("Resolving server names" in the specification's server-server API).

use crate::settings::types::ServerName;

/// The port of homeservers that neither their name nor a record has.
const DEFAULT_PORT: u16 = 8448;

/// The names of SRV records, before the name of the server. The second one is deprecated.
const PREFIXES: [&str; 2] = ["_matrix-fed._tcp", "_matrix._tcp"];

/// An SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Service {
    /// Of two records, the one with the lower number counts.
    pub priority: u16,
    /// The host.
    pub target: String,
    /// The port.
    pub port: u16,
}

/// A host and port at which other homeservers ask for a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The host whose addresses count; an IPv6 address is in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name that the certificate must have: that of the server, also if a record has another host.
    pub name: String,
    /// The header `Host` of requests.
    pub header: String,
}

/// The names of the SRV records that count for a server name, in this order. A name that is an address or has a port
/// leads to one place without them.
pub fn services(name: &ServerName) -> Vec<String> {
    match (name.address(), name.port()) {
        (None, None) => PREFIXES
            .iter()
            .map(|prefix| format!("{prefix}.{}", name.host()))
            .collect(),
        _ => Vec::new(),
    }
}

/// The places of a server name. `records` are the records of each of [`services`].
pub fn places(name: &ServerName, records: &[&[Service]]) -> Vec<Place> {
    let place = |host: &str, port: u16| Place {
        host: host.to_owned(),
        port,
        name: name.host().to_owned(),
        header: name.to_string(),
    };
    match records.iter().find(|records| !records.is_empty()) {
        Some(records) => {
            let mut records = records.to_vec();
            records.sort();
            records
                .iter()
                .map(|record| place(&record.target, record.port))
                .collect()
        }
        None => vec![place(name.host(), name.port().unwrap_or(DEFAULT_PORT))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Scalar;

    fn lead(name: &str, fed: &[Service], deprecated: &[Service]) -> Vec<String> {
        let name = <ServerName as Scalar>::parse(name).unwrap();
        let places = places(&name, &[fed, deprecated]);
        let text = |place: &Place| format!("{}:{} {}", place.host, place.port, place.header);
        places.iter().map(text).collect()
    }

    fn record(priority: u16, target: &str, port: u16) -> Service {
        Service {
            priority,
            target: target.to_owned(),
            port,
        }
    }

    #[test]
    fn a_name_leads_where_the_specification_says() {
        // The numbers of the steps are those of the specification.
        for (name, places) in [
            ("192.0.2.1", "192.0.2.1:8448 192.0.2.1"), // 1
            ("[2001:db8::1]:80", "[2001:db8::1]:80 [2001:db8::1]:80"), // 1
            ("example.org:8449", "example.org:8449 example.org:8449"), // 2
            ("example.org", "example.org:8448 example.org"), // 6
        ] {
            assert_eq!(lead(name, &[], &[]), [places], "{name}");
        }
        let new = [
            record(20, "b.example.net", 2),
            record(10, "a.example.net", 1),
        ];
        let old = [record(0, "c.example.net", 3)];
        let of_new = ["a.example.net:1 example.org", "b.example.net:2 example.org"];
        assert_eq!(lead("example.org", &new, &old), of_new); // 4
        assert_eq!(
            lead("example.org", &[], &old),
            ["c.example.net:3 example.org"]
        ); // 5
    }

    #[test]
    fn records_count_only_for_a_name_without_port() {
        let of = |name| services(&<ServerName as Scalar>::parse(name).unwrap());
        let both = ["_matrix-fed._tcp.example.org", "_matrix._tcp.example.org"];
        assert_eq!(of("example.org"), both);
        for name in ["example.org:8448", "192.0.2.1", "[2001:db8::1]"] {
            assert!(of(name).is_empty(), "{name}");
        }
    }
}
