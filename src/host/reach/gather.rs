//! The order of the questions: each round needs the answers of the one before.

use super::{curl, dns};
use crate::host::now;
use crate::parallel;
use crate::reach::{Exchange, Gathered, Question, Target};
use nix::ifaddrs::getifaddrs;
use std::net::{IpAddr, SocketAddr};

/// Asks everything that the settings call for, in at most half a minute: three times the DNS, and twice the server.
pub fn gather(target: Target) -> Gathered {
    let servers = dns::servers();
    let hosts = target.hosts();
    let mut gathered = Gathered::new(target, own_addresses(), now());
    look_up(&mut gathered, hosts, &servers);
    let first = gathered.first_questions();
    ask(&mut gathered, first);
    let names = gathered.services();
    let records = parallel::map(&names, |name| {
        dns::services(name, &servers).map_err(|error| format!("{error:#}"))
    });
    gathered.records = names.into_iter().zip(records).collect();
    let places = gathered.places().into_iter();
    look_up(
        &mut gathered,
        places.map(|place| place.host).collect(),
        &servers,
    );
    let of_servers = gathered.questions_of_servers();
    ask(&mut gathered, of_servers);
    gathered
}

/// Looks up the addresses of hosts that are not known yet.
fn look_up(gathered: &mut Gathered, mut hosts: Vec<String>, servers: &[SocketAddr]) {
    hosts.retain(|host| !gathered.names.contains_key(host));
    let found = parallel::map(&hosts, |host| dns::addresses(host, servers));
    gathered.names.extend(hosts.into_iter().zip(found));
}

fn ask(gathered: &mut Gathered, questions: Vec<Question>) {
    let answers = parallel::map(&questions, curl::ask);
    let exchanges = questions.into_iter().zip(answers);
    let exchanges = exchanges.map(|(question, answer)| Exchange { question, answer });
    gathered.exchanges.extend(exchanges);
}

/// The addresses of this host's interfaces; none if the kernel does not list them.
fn own_addresses() -> Vec<IpAddr> {
    let interfaces = getifaddrs().into_iter().flatten();
    let address = |one: nix::sys::socket::SockaddrStorage| {
        let v4 = one.as_sockaddr_in().map(|one| IpAddr::from(one.ip()));
        v4.or_else(|| one.as_sockaddr_in6().map(|one| one.ip().into()))
    };
    interfaces.filter_map(|one| address(one.address?)).collect()
}
