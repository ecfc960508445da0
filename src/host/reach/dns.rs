//! Questions to the name servers of this host, which know the records that other hosts see, and to its resolver.

use crate::host::bounded::Bounded;
use crate::host::files;
use crate::parallel;
use crate::reach::{Addresses, Service};
use crate::settings::types::unbracketed;
use anyhow::{Context, Result, bail, ensure};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// The time for an answer.
const LIMIT: Duration = Duration::from_secs(3);
/// The time for one message over UDP, which may be lost.
const TRY: Duration = Duration::from_secs(1);
const PORT: u16 = 53;
/// The addresses of systemd-resolved.
const RESOLVED: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)),
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54)),
];
/// The number of records that are read of an answer. Each address is asked several times.
const MOST: usize = 8;
/// The largest message over TCP, whose length has 16 bits.
const LARGEST: usize = 1 << 16;

/// The name servers of /etc/resolv.conf (resolv.conf(5)): without one, that of this host. systemd-resolved also answers
/// from /etc/hosts, which other hosts do not see, so the servers that it asks take its place (systemd-resolved(8)).
pub(super) fn servers() -> Vec<SocketAddr> {
    let mut servers = listed("/etc/resolv.conf");
    if servers.iter().all(|address| RESOLVED.contains(address)) {
        let asked = listed("/run/systemd/resolve/resolv.conf");
        if !asked.is_empty() {
            servers = asked;
        }
    }
    if servers.is_empty() {
        servers.push(Ipv4Addr::LOCALHOST.into());
    }
    let servers = servers.into_iter().take(3);
    servers
        .map(|address| SocketAddr::new(address, PORT))
        .collect()
}

/// The name servers in a file of this format.
fn listed(path: &str) -> Vec<IpAddr> {
    let text = files::read_text(path).ok().flatten().unwrap_or_default();
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        words.next().filter(|_| is_server)?.parse().ok()
    };
    text.lines().filter_map(address).collect()
}

/// The addresses of a host; an address is its own.
pub(super) fn addresses(host: &str, servers: &[SocketAddr]) -> Addresses {
    if let Ok(address) = unbracketed(host).parse::<IpAddr>() {
        return Addresses {
            public: Ok(vec![address]),
            here: vec![address],
        };
    }
    let (public, here) = parallel::both(|| public(host, servers), || here(host));
    Addresses {
        public: public.map_err(|error| format!("{error:#}")),
        here,
    }
}

/// The addresses of the A and AAAA records.
fn public(host: &str, servers: &[SocketAddr]) -> Result<Vec<IpAddr>> {
    let of = |kind: TYPE, parse: fn(&RData) -> Option<IpAddr>| ask(host, kind, servers, parse);
    let (v4, v6) = parallel::both(
        || {
            of(TYPE::A, |record| match record {
                RData::A(one) => Some(Ipv4Addr::from(one.address).into()),
                _ => None,
            })
        },
        || {
            of(TYPE::AAAA, |record| match record {
                RData::AAAA(one) => Some(Ipv6Addr::from(one.address).into()),
                _ => None,
            })
        },
    );
    Ok([v4?, v6?].concat())
}

/// The addresses that programs on this host get. getaddrinfo(3) has no limit of its own, so a thread may outlive its
/// answer.
fn here(host: &str) -> Vec<IpAddr> {
    let (sender, answer) = channel();
    let host = host.to_owned();
    std::thread::spawn(move || {
        let found = (host.as_str(), 0).to_socket_addrs();
        let _ = sender.send(found.map(|found| found.map(|one| one.ip()).collect()));
    });
    let answer = answer.recv_timeout(LIMIT);
    let mut found: Vec<IpAddr> = answer.ok().and_then(Result::ok).unwrap_or_default();
    found.sort();
    found.dedup();
    found
}

/// The SRV records of a name.
pub(super) fn services(name: &str, servers: &[SocketAddr]) -> Result<Vec<Service>> {
    ask(name, TYPE::SRV, servers, |record| match record {
        RData::SRV(one) => Some(Service {
            priority: one.priority,
            target: one.target.to_string(),
            port: one.port,
        }),
        _ => None,
    })
}

/// The records of one type; the first name server that answers counts.
fn ask<T>(
    name: &str,
    kind: TYPE,
    servers: &[SocketAddr],
    read: impl Fn(&RData) -> Option<T>,
) -> Result<Vec<T>> {
    let end = Instant::now() + LIMIT;
    let mut last = None;
    while Instant::now() < end {
        for server in servers {
            match exchange(name, kind, *server, end).and_then(|answer| records(&answer, &read)) {
                Ok(found) => return Ok(found),
                Err(error) => {
                    last = Some(error.context(format!("the name server {}", server.ip())))
                }
            }
        }
        // A server that refuses its port, or answers with an error, is not asked again.
        let again = last
            .as_ref()
            .and_then(|error| error.root_cause().downcast_ref());
        if again.map(std::io::Error::kind) != Some(std::io::ErrorKind::WouldBlock) {
            break;
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no name server answers")))
}

/// The records in an answer. A name that does not exist has none.
fn records<T>(answer: &[u8], read: impl Fn(&RData) -> Option<T>) -> Result<Vec<T>> {
    let packet = Packet::parse(answer)
        .map_err(|error| anyhow::anyhow!("sends no answer of the DNS: {error}"))?;
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        other => bail!("answers {other:?}"),
    }
    let records = packet.answers.iter();
    let records = records.filter_map(|record| read(&record.rdata));
    Ok(records.take(MOST).collect())
}

/// Sends a question over UDP, and over TCP if the answer is too long for UDP.
fn exchange(name: &str, kind: TYPE, server: SocketAddr, end: Instant) -> Result<Vec<u8>> {
    let id = u16::from_be_bytes(files::random()?);
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let wrong = |error| anyhow::anyhow!("{name} is no name for the DNS: {error}");
    let asked = Name::new(name).map_err(wrong)?;
    packet
        .questions
        .push(Question::new(asked, kind.into(), CLASS::IN.into(), false));
    let question = packet.build_bytes_vec().map_err(wrong)?;
    let answer = over_udp(&question, id, server, end)?;
    let is_cut =
        Packet::parse(&answer).is_ok_and(|packet| packet.has_flags(PacketFlag::TRUNCATION));
    match is_cut {
        true => over_tcp(&question, server, end),
        false => Ok(answer),
    }
}

fn over_udp(question: &[u8], id: u16, server: SocketAddr, end: Instant) -> Result<Vec<u8>> {
    let here: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A connected socket receives from this server only.
    let socket = UdpSocket::bind((here, 0))?;
    socket.connect(server)?;
    let left = end.saturating_duration_since(Instant::now()).min(TRY);
    socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
    socket.send(question).context("does not answer")?;
    let mut answer = [0; LARGEST];
    let length = socket.recv(&mut answer).context("does not answer")?;
    let answer = &answer[..length];
    ensure!(
        answer.starts_with(&id.to_be_bytes()),
        "sends the answer to another question"
    );
    Ok(answer.to_vec())
}

/// Over TCP, each message has its length before it (RFC 1035, 4.2.2).
fn over_tcp(question: &[u8], server: SocketAddr, end: Instant) -> Result<Vec<u8>> {
    let mut stream = Bounded::tcp(server, end, LARGEST)?;
    let length = u16::try_from(question.len())?.to_be_bytes();
    stream.write_all(&[&length, question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::rdata::{A, SRV};
    use simple_dns::{QTYPE, ResourceRecord};

    /// A name server on this host that answers this many questions, which asks for UDP first.
    fn server(questions: usize, answer: fn(&mut Packet)) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        std::thread::spawn(move || {
            for _ in 0..questions {
                let mut question = [0; LARGEST];
                let (length, from) = socket.recv_from(&mut question).unwrap();
                let mut packet = Packet::parse(&question[..length]).unwrap().into_reply();
                answer(&mut packet);
                let bytes = packet.build_bytes_vec_compressed().unwrap();
                socket.send_to(&bytes, from).unwrap();
            }
        });
        address
    }

    fn add(packet: &mut Packet, data: RData<'static>) {
        let name = Name::new("example.org").unwrap();
        let record = ResourceRecord::new(name, CLASS::IN, 60, data);
        packet.answers.push(record);
    }

    #[test]
    fn the_records_of_a_name_are_found() {
        let at = server(1, |packet| {
            let target = Name::new("b.example.org").unwrap();
            let (priority, weight, port) = (10, 5, 8448);
            add(
                packet,
                RData::SRV(SRV {
                    priority,
                    weight,
                    port,
                    target,
                }),
            );
            add(packet, RData::A(A { address: 1 }));
        });
        let target = "b.example.org".to_owned();
        let expected = Service {
            priority: 10,
            target,
            port: 8448,
        };
        assert_eq!(
            services("_matrix-fed._tcp.example.org", &[at]).unwrap(),
            [expected]
        );
        let at = server(2, |packet| {
            if packet.questions[0].qtype == QTYPE::from(TYPE::A) {
                add(
                    packet,
                    RData::A(A {
                        address: Ipv4Addr::new(192, 0, 2, 1).into(),
                    }),
                );
            }
        });
        let expected: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(public("example.org", &[at]).unwrap(), [expected]);
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_records_and_a_faulty_server_is_named() {
        let at = server(1, |packet| *packet.rcode_mut() = RCODE::NameError);
        assert_eq!(services("example.org", &[at]).unwrap(), []);
        let at = server(1, |packet| *packet.rcode_mut() = RCODE::ServerFailure);
        let error = format!("{:#}", services("example.org", &[at]).unwrap_err());
        assert_eq!(error, "the name server 127.0.0.1: answers ServerFailure");
        // The next server answers in place of one that does not.
        let closed = UdpSocket::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let at = server(1, |_| ());
        assert_eq!(services("example.org", &[closed, at]).unwrap(), []);
    }

    #[test]
    fn an_address_is_its_own() {
        let address: IpAddr = "2001:db8::1".parse().unwrap();
        let found = addresses("[2001:db8::1]", &[]);
        assert_eq!(
            (found.public, found.here),
            (Ok(vec![address]), vec![address])
        );
    }
}
