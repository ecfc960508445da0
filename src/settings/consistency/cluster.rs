//! Rules for several hosts: their addresses, and what this release cannot do with them.

use super::{Rule, Violation, violated};
use crate::settings::table::Settings;
use crate::settings::types::{Host, WarmMode, is_loopback};
use crate::special_ranges::is_private;
use std::net::IpAddr;

/// The rules. Each but the first has an effect only with other hosts.
pub(super) static RULES: &[Rule] = &[
    |settings| {
        let wanted = !settings.hosts.is_empty() && settings.address.is_none();
        violated(wanted, "hosts", || {
            (
                "`hosts` is set, but `address` is not, so the other hosts could not reach this one"
                    .to_owned(),
                "set `address` to the address of this host in the network that it shares with them"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let (key, setting, address) =
            addresses(settings).find(|(.., address)| !is_of_one_host(*address))?;
        Some((
            key,
            format!("`{setting}` is {address}, which other hosts cannot reach"),
            "use the address of the host in the network that the hosts share".to_owned(),
        ))
    },
    |settings| {
        let public = |(_, _, address): &(_, _, IpAddr)| !is_private(*address);
        let (key, setting, address) = addresses(settings).find(public)?;
        violated(!settings.cluster.encrypted, key, || {
            (
                format!(
                    "`{setting}` is {address}, which is not in a private network (RFC 1918, fc00::/7 or 100.64.0.0/10), \
                     and requests between the hosts are not encrypted"
                ),
                "use addresses of a private network, or set `cluster.encrypted` to true if the network itself encrypts"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let all: Vec<_> = addresses(settings).collect();
        let (place, (key, setting, address)) =
            all.iter().enumerate().find(|(place, (.., address))| {
                all[..*place].iter().any(|(.., other)| other == address)
            })?;
        let (_, other, _) = all[..place].iter().find(|(.., other)| other == address)?;
        Some((
            *key,
            format!("`{other}` and `{setting}` are both {address}"),
            "give each host its own address".to_owned(),
        ))
    },
    |settings| {
        let database = &settings.database;
        let problem = match &database.host {
            None if database.open => return None,
            None => "`hosts` is set, but the PostgreSQL of this host is not open to other hosts"
                .to_owned(),
            Some(host) if is_here(host) => {
                format!(
                    "`hosts` is set, but `database.host` is {host}, which the other hosts cannot reach"
                )
            }
            Some(_) => return None,
        };
        let external =
            "set `database.host` to the name or address of a PostgreSQL that every host can reach";
        let help = match &database.host {
            None => format!(
                "`synapse-workers install --open-database` opens it to the addresses in `hosts` and sets `database.open` to \
                 true; PostgreSQL restarts once. Or {external}"
            ),
            Some(_) => external.to_owned(),
        };
        with_hosts(settings, "hosts", || (problem, help))
    },
    |settings| {
        let host = settings.redis.host.as_ref()?;
        let here = is_loopback(host.as_str());
        with_hosts(settings, "redis.host", || {
            (
                format!("`redis.host` is {host}, which the other hosts in `hosts` cannot reach"),
                "remove `redis.host`, so that this program opens its own Redis to them, or name a Redis that every host \
                 can reach"
                    .to_owned(),
            )
        })
        .filter(|_| here)
    },
    |settings| {
        let sockets = &settings.sockets;
        let switches = [
            ("sockets.public", sockets.public),
            ("sockets.replication", sockets.replication),
            ("sockets.held", sockets.held),
        ];
        let (key, _) = switches.into_iter().find(|(_, on)| !on)?;
        with_hosts(settings, key, || {
            (
                format!(
                    "`{key}` is false, but with `hosts`, systemd opens every port between the hosts, and only processes on \
                     other hosts use ports"
                ),
                format!("remove `{key}`"),
            )
        })
    },
    |settings| {
        let on = settings.warm.mode != WarmMode::Off;
        with_hosts(settings, "warm.mode", || {
            (
                "`warm.mode` is not off, but processes that use ports between `hosts` cannot be forked in this release".to_owned(),
                "set `warm.mode` to off".to_owned(),
            )
        })
        .filter(|_| on)
    },
    |settings| {
        let adopts = !settings.adopt.config.is_empty();
        with_hosts(settings, "adopt.config", || {
            (
                "`adopt.config` is set, but `hosts` too: the files of an adopted server may name files that other hosts \
                 do not have"
                    .to_owned(),
                "move its options to /etc/synapse-workers/homeserver.d and remove `adopt`, or remove `hosts`".to_owned(),
            )
        })
        .filter(|_| adopts)
    },
    |settings| {
        let endpoint = settings.mas.endpoint.as_ref()?;
        let here = endpoint.is_loopback();
        with_hosts(settings, "mas.endpoint", || {
            (
                "`mas.endpoint` is on this host alone, but the processes on other hosts ask it about tokens".to_owned(),
                "set `mas.endpoint` to a URL that every host in `hosts` can reach".to_owned(),
            )
        })
        .filter(|_| here)
    },
    |settings| {
        let exported =
            settings.metrics.enabled && settings.metrics.redis && settings.redis.host.is_none();
        with_hosts(settings, "metrics.redis", || {
            (
                "`metrics.redis` is true, but with `hosts`, this program's own Redis has a password, which its exporter \
                 does not get in this release"
                    .to_owned(),
                "set `metrics.redis` to false".to_owned(),
            )
        })
        .filter(|_| exported)
    },
];

/// A violation that exists only with other hosts.
fn with_hosts(
    settings: &Settings,
    key: &'static str,
    message: impl FnOnce() -> (String, String),
) -> Violation {
    violated(!settings.hosts.is_empty(), key, message)
}

/// The addresses of all hosts, each with the key at fault and the name of the setting; none without other hosts.
fn addresses(settings: &Settings) -> impl Iterator<Item = (&'static str, String, IpAddr)> {
    let others = settings.hosts.all().iter();
    let others = others.map(|host| {
        (
            "hosts",
            format!("hosts.{}.address", host.name),
            host.address,
        )
    });
    let first = settings.address.filter(|_| !settings.hosts.is_empty());
    let first = first.map(|address| ("address", "address".to_owned(), address));
    first.into_iter().chain(others)
}

/// Whether packets to an address reach one host from another, without a name of an interface beside it.
fn is_of_one_host(address: IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || address.to_ipv4_mapped().is_some()
        }
    };
    !local && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}

/// Whether PostgreSQL is on this host.
fn is_here(host: &Host) -> bool {
    host.is_socket_directory() || is_loopback(host.as_str())
}
