//! The checks: one row each.

mod clients;
mod connection;
mod records;
mod servers;

use super::answer::Answer;
use super::finding::{Fault, Finding, Mark};
use super::gathered::Gathered;
use super::question::{Purpose, Question};
use crate::printable::printable;
use crate::settings::types::unbracketed;
use std::net::IpAddr;

/// A check.
struct Step {
    /// Its name.
    name: &'static str,
    check: Check,
}

/// The subject of a check, and its function.
enum Check {
    /// Everything.
    All(fn(&Gathered) -> Vec<Seen>),
    /// Every answer to one kind of question. The result is one line if all answers are right.
    Each(
        Purpose,
        fn(&Gathered, &Question, &Answer) -> Result<String, Fault>,
    ),
}

/// A finding without its step.
type Seen = (Mark, String, Option<String>);

/// The checks, in the order in which a client or another homeserver depends on their subjects.
#[rustfmt::skip] // one check per line
static STEPS: &[Step] = &[
    Step { name: "DNS records",      check: Check::All(records::addresses) },
    Step { name: "connections",      check: Check::All(connection::all) },
    Step { name: "file for servers", check: Check::All(servers::file) },
    Step { name: "SRV records",      check: Check::All(records::services) },
    Step { name: "server keys",      check: Check::Each(Purpose::Keys, servers::keys) },
    Step { name: "server API",       check: Check::Each(Purpose::Software, servers::software) },
    Step { name: "file for clients", check: Check::Each(Purpose::ClientFile, clients::file) },
    Step { name: "client API",       check: Check::Each(Purpose::Versions, clients::versions) },
    Step { name: "CORS",             check: Check::Each(Purpose::Preflight, clients::preflight) },
    Step { name: "sliding sync",     check: Check::Each(Purpose::Versions, clients::sliding_sync) },
    Step { name: "calls",            check: Check::All(clients::calls) },
];

/// The findings of all checks.
pub fn findings(at: &Gathered) -> Vec<Finding> {
    let of_step = |step: &Step| {
        let seen = match &step.check {
            Check::All(check) => check(at),
            Check::Each(purpose, check) => each(at, *purpose, *check),
        };
        let name = step.name;
        seen.into_iter().map(move |(result, text, help)| Finding {
            step: name,
            result,
            // Answers of other hosts are in these texts.
            text: printable(&text),
            help: help.as_deref().map(printable),
        })
    };
    STEPS.iter().flat_map(of_step).collect()
}

/// Checks every answer.
fn each(
    at: &Gathered,
    purpose: Purpose,
    check: fn(&Gathered, &Question, &Answer) -> Result<String, Fault>,
) -> Vec<Seen> {
    let mut right = Vec::new();
    let mut faults = Vec::new();
    for (question, answer) in at.answers(purpose) {
        match check(at, question, answer) {
            Ok(text) => right.push(text),
            Err(fault) => faults.push((Mark::Fail, question, fault)),
        }
    }
    match (faults.is_empty(), right.into_iter().next()) {
        (false, _) => grouped(faults),
        // A check that does not apply to this answer.
        (true, Some(text)) if text.is_empty() => Vec::new(),
        (true, Some(text)) => vec![(Mark::Ok, text, None)],
        (true, None) if purpose.is_of_servers() && !at.target.federates => vec![skipped(DISABLED)],
        (true, None) => vec![skipped("not checked: there is no answer")],
    }
}

const DISABLED: &str = "not used: federation is disabled (federation_domain_whitelist is empty)";

/// The finding of a check that does not apply.
fn skipped(text: &str) -> Seen {
    (Mark::Skip, text.to_owned(), None)
}

/// Makes one finding of faults that differ only in the address.
fn grouped(faults: Vec<(Mark, &Question, Fault)>) -> Vec<Seen> {
    let mut groups: Vec<(Mark, &Question, Fault, Vec<IpAddr>)> = Vec::new();
    for (mark, question, fault) in faults {
        let same = groups.iter_mut().find(|(known, of, problem, _)| {
            let place = (&of.owner, of.port) == (&question.owner, question.port);
            *known == mark && place && *problem == fault
        });
        match same {
            Some((.., addresses)) => addresses.push(question.address),
            None => groups.push((mark, question, fault, vec![question.address])),
        }
    }
    let seen = |(mark, question, fault, addresses): (Mark, &Question, Fault, Vec<IpAddr>)| {
        let place = place(&question.owner, question.port, &addresses);
        (
            mark,
            format!("{place}: {}", fault.problem),
            Some(fault.help),
        )
    };
    groups.into_iter().map(seen).collect()
}

/// A place in messages, as in `example.org port 443 (192.0.2.1, 2001:db8::1)`.
fn place(host: &str, port: u16, addresses: &[IpAddr]) -> String {
    let mut shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    shown.dedup();
    match shown.as_slice() {
        [one] if one == unbracketed(host) => format!("{host} port {port}"),
        _ => format!("{host} port {port} ({})", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests;
