//! The connections: whether each address answers, with the right certificate.

use super::{Seen, grouped, place};
use crate::reach::answer::{Kind, Trouble};
use crate::reach::finding::{Fault, Mark};
use crate::reach::gathered::{Exchange, Gathered};
use crate::reach::question::{Purpose, Question};
use crate::reach::target::Certificate;
use std::net::IpAddr;

/// Every place that was asked. Without `serve_server_wellknown`, the file for servers need not exist.
pub(super) fn all(at: &Gathered) -> Vec<Seen> {
    let needed =
        |one: &&Exchange| one.question.purpose != Purpose::ServerFile || at.target.delegates;
    let mut reached: Vec<(&str, u16, Vec<IpAddr>)> = Vec::new();
    let mut faults: Vec<(Mark, &Question, Fault)> = Vec::new();
    for Exchange { question, answer } in at.exchanges.iter().filter(needed) {
        let (owner, port, address) = (question.owner.as_str(), question.port, question.address);
        match answer {
            Err(trouble) => {
                let known = faults.iter().any(|(_, of, _)| {
                    (of.owner.as_str(), of.port, of.address) == (owner, port, address)
                });
                if !known {
                    faults.push((
                        mark(at, question, trouble),
                        question,
                        fault(at, question, trouble),
                    ));
                }
            }
            Ok(_) => match reached
                .iter_mut()
                .find(|(host, of, _)| (*host, *of) == (owner, port))
            {
                Some((.., addresses)) if addresses.contains(&address) => {}
                Some((.., addresses)) => addresses.push(address),
                None => reached.push((owner, port, vec![address])),
            },
        }
    }
    let mut seen = grouped(faults);
    if !reached.is_empty() {
        let places = reached.iter();
        let places: Vec<String> = places
            .map(|(host, port, addresses)| place(host, *port, addresses))
            .collect();
        seen.insert(0, (Mark::Ok, places.join("; "), None));
    }
    seen
}

/// A fault, unless others do not connect to this address, or this host cannot connect to it.
fn mark(at: &Gathered, question: &Question, trouble: &Trouble) -> Mark {
    let owned = at.names.get(&question.owner).is_some_and(|addresses| {
        let mut all = addresses.all().into_iter();
        all.any(|(address, is_public)| is_public && at.is_own(address))
    });
    match trouble.kind {
        _ if !question.is_public => Mark::Warn,
        // Without IPv6, this host cannot tell; but if it has the other addresses of the name, it should have this one too.
        Kind::Unreachable if !owned => Mark::Warn,
        _ => Mark::Fail,
    }
}

fn fault(at: &Gathered, question: &Question, trouble: &Trouble) -> Fault {
    let Question { port, host, .. } = question;
    let problem = match trouble.kind {
        Kind::Refused => {
            "the connection is refused: nothing listens there, or a firewall rejects it".to_owned()
        }
        Kind::Silent => format!("no answer in time ({})", trouble.text),
        Kind::Unreachable => format!("this host does not reach the address ({})", trouble.text),
        Kind::OtherName => format!("the certificate is not for {host} ({})", trouble.text),
        Kind::Expired => format!(
            "the certificate is not valid at this time ({})",
            trouble.text
        ),
        Kind::SelfSigned => format!(
            "the certificate is signed by no authority ({})",
            trouble.text
        ),
        Kind::Untrusted => format!("the certificate is not trusted ({})", trouble.text),
        Kind::NoTls => format!("the handshake of TLS fails ({})", trouble.text),
        Kind::Redirects | Kind::Large | Kind::Other => trouble.text.clone(),
    };
    let help = match trouble.kind {
        Kind::Refused | Kind::Silent | Kind::Unreachable => unreached(at, question, trouble.kind),
        Kind::OtherName | Kind::Expired | Kind::SelfSigned | Kind::Untrusted => {
            of_certificate(at.target.certificate, host, trouble.kind)
        }
        Kind::NoTls => format!(
            "serve HTTPS at port {port}: another program listens there, or the port is forwarded to one without TLS"
        ),
        Kind::Redirects => format!(
            "answer at {} with at most 20 redirects, all of them to HTTPS",
            question.url()
        ),
        Kind::Large | Kind::Other => format!("see all of it: curl --verbose {}", question.url()),
    };
    Fault { problem, help }
}

/// The remedy for an address that does not accept connections.
fn unreached(at: &Gathered, question: &Question, kind: Kind) -> String {
    let Question {
        owner,
        port,
        address,
        ..
    } = question;
    if !question.is_public {
        return format!("only this host resolves {owner} to {address}; see /etc/hosts");
    }
    let has_ipv4 = at
        .names
        .get(owner)
        .is_some_and(|addresses| addresses.all().iter().any(|(other, _)| other.is_ipv4()));
    let own = at.is_own(*address);
    let mut help = match (own, at.target.certificate) {
        _ if address.is_ipv6() && has_ipv4 => format!(
            "remove the AAAA record of {owner}, or serve port {port} at {address} as well (bind_addresses with ::, firewall)"
        ),
        (true, _) if at.target.is_local => format!(
            "bind_addresses has loopback addresses only: add 0.0.0.0 and ::, or let a reverse proxy serve port {port}"
        ),
        (true, Certificate::OfProxy) => format!(
            "let the reverse proxy serve HTTPS at port {port} (synapse-workers-reverse-proxy(7)), or set tls.acme"
        ),
        (true, _) if kind == Kind::Refused => format!(
            "serve port {port} (tls.port, tls.federation_port), and see whether nginx runs: synapse-workers status"
        ),
        (true, _) => format!("permit TCP port {port} in the firewall of this host"),
        (false, _) => {
            format!("permit TCP port {port} in every firewall, and forward it to this host")
        }
    };
    if question.purpose == Purpose::Keys && *port == 8448 {
        help.push_str("; or let other homeservers use port 443: serve_server_wellknown: true, with public_baseurl");
    }
    if !own {
        help.push_str(&format!(
            ". This host does not have {address}: if a router with NAT is in between, it may refuse connections from \
             inside to its public address; then try from another network: curl {}",
            question.url()
        ));
    }
    help
}

/// The remedy for a certificate that clients do not accept.
fn of_certificate(source: Certificate, host: &str, kind: Kind) -> String {
    use Certificate::{Acme, OfProxy, Own};
    match (kind, source) {
        (Kind::OtherName, Acme) => format!("add {host} to `names` in tls.acme, then: synapse-workers install"),
        (Kind::OtherName, Own) => format!("use a certificate for {host} in tls.certificate"),
        (_, Acme) if kind != Kind::Untrusted => {
            "see why the authority has not issued one: synapse-workers status".to_owned()
        }
        (Kind::Expired, Own) => "renew the certificate in tls.certificate, and check the clock (timedatectl)".to_owned(),
        (_, OfProxy) => format!("give the reverse proxy a valid certificate for {host}, with its chain"),
        (Kind::SelfSigned, _) => "use a certificate of a public authority, as with tls.acme".to_owned(),
        (_, Own) => "put the certificate with all of its chain into tls.certificate (often fullchain.pem); if the \
                     authority is internal, let this host trust it: update-ca-certificates"
            .to_owned(),
        (_, Acme) => "use an authority that clients and servers trust; if it is internal, let this host trust it too: \
                      update-ca-certificates"
            .to_owned(),
    }
}
