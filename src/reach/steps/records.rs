//! The records of the DNS.

use super::{Seen, skipped};
use crate::reach::addresses::Addresses;
use crate::reach::finding::Mark;
use crate::reach::gathered::Gathered;
use crate::settings::types::unbracketed;
use crate::special_ranges::is_special;
use std::net::IpAddr;

/// The addresses of each name.
pub(super) fn addresses(at: &Gathered) -> Vec<Seen> {
    let names = at.names.iter();
    names
        .map(|(name, addresses)| of_name(name, addresses))
        .collect()
}

fn of_name(name: &str, addresses: &Addresses) -> Seen {
    let here = joined(&addresses.here);
    let create = || {
        Some(format!(
            "create an A or AAAA record for {name} that leads to this host"
        ))
    };
    let fail = |text: String, help| (Mark::Fail, text, help);
    match &addresses.public {
        Err(error) if here.is_empty() => fail(
            format!("{name}: {error}"),
            Some("check the name servers in /etc/resolv.conf".to_owned()),
        ),
        Err(error) => (
            Mark::Warn,
            format!("{name}: {error}; this host resolves it to {here}"),
            Some("check the name servers in /etc/resolv.conf".to_owned()),
        ),
        Ok(public) if public.is_empty() && here.is_empty() => {
            fail(format!("{name} has no A and no AAAA record"), create())
        }
        Ok(public) if public.is_empty() => fail(
            format!("{name} has no A and no AAAA record; this host alone resolves it, to {here}"),
            create(),
        ),
        Ok(public) => {
            let shown = joined(public);
            let local = public.iter().any(IpAddr::is_loopback);
            let special = public.iter().find(|address| is_special(**address));
            match special {
                _ if local => fail(
                    format!("{name} leads to {shown}, which every host has for itself"),
                    create(),
                ),
                Some(address) => (
                    Mark::Warn,
                    format!(
                        "{name} leads to {shown}; {address} is not public, so only hosts of its network reach it"
                    ),
                    (unbracketed(name).parse::<IpAddr>() != Ok(*address)).then(|| {
                        format!("for a public server, let {name} lead to public addresses only")
                    }),
                ),
                None => (Mark::Ok, format!("{name}: {shown}"), None),
            }
        }
    }
}

fn joined(addresses: &[IpAddr]) -> String {
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    shown.join(", ")
}

/// The SRV records. The first name with records counts.
pub(super) fn services(at: &Gathered) -> Vec<Seen> {
    let name = at.delegated();
    if at.records.is_empty() {
        return match at.target.federates {
            true => vec![skipped(&format!("not used: {name} leads to one place"))],
            false => vec![skipped(super::DISABLED)],
        };
    }
    let mut seen = Vec::new();
    for (place, (record, found)) in at.records.iter().enumerate() {
        let found = match found {
            Ok(found) if found.is_empty() => continue,
            Ok(found) => found,
            Err(error) => {
                let help = "check the name servers in /etc/resolv.conf".to_owned();
                seen.push((Mark::Warn, format!("{record}: {error}"), Some(help)));
                continue;
            }
        };
        let places: Vec<String> = found
            .iter()
            .map(|record| format!("{} port {}", record.target, record.port))
            .collect();
        let text = format!("{record} leads to {}", places.join(", "));
        let closed = found.iter().any(|record| record.target.is_empty());
        seen.push(match place {
            _ if closed => (
                Mark::Fail,
                format!("{record} says that there is no server (its target is a dot)"),
                Some(format!(
                    "remove the record {record}, or let it lead to this host"
                )),
            ),
            0 => (Mark::Ok, text, None),
            _ => (
                Mark::Warn,
                format!("{text}; this name of the record is deprecated"),
                Some(format!("rename the record to {}", at.records[0].0)),
            ),
        });
        break;
    }
    if seen.is_empty() {
        let text = format!(
            "none, so other homeservers use port 8448 of {}",
            name.host()
        );
        seen.push((Mark::Ok, text, None));
    }
    seen
}
