//! The answers for other homeservers.

use super::{DISABLED, Seen, grouped, skipped};
use crate::reach::answer::Answer;
use crate::reach::finding::{Fault, Mark};
use crate::reach::gathered::{Gathered, server_in};
use crate::reach::question::{Purpose, Question};
use crate::reach::signature;

/// The remedy for requests that do not arrive as they were sent.
pub(super) const PASS_ON: &str = "let the reverse proxy pass the path on to nginx unchanged (synapse-workers-reverse-proxy(7)), and see: synapse-workers status";

/// /.well-known/matrix/server, which other homeservers ask for first. It need not exist.
pub(super) fn file(at: &Gathered) -> Vec<Seen> {
    let target = &at.target;
    let name = &target.server_name;
    if !target.federates {
        return vec![skipped(DISABLED)];
    }
    if name.address().is_some() || name.port().is_some() {
        return vec![skipped(&format!(
            "not used: {name} has a port or is an address"
        ))];
    }
    let expected = target.base_url.as_ref().filter(|_| target.delegates);
    let expected = expected.map(|url| url.for_servers());
    let mut found = None;
    let mut faults = Vec::new();
    for (question, answer) in at.answers(Purpose::ServerFile) {
        let server = server_in(answer);
        let mut blame = |mark: Mark, problem: String| {
            let help = format!(
                "let {} lead to this host (reverse proxy, DNS record of {name})",
                question.url()
            );
            faults.push((mark, question, Fault { problem, help }));
        };
        match (server, &expected) {
            (Ok(server), Some(wanted)) if !server.as_str().eq_ignore_ascii_case(wanted) => {
                let problem = format!("the file leads to {server}, and public_baseurl to {wanted}");
                blame(Mark::Fail, problem);
            }
            (Ok(server), _) => found = Some(server),
            (Err(error), Some(_)) => {
                let problem = format!("{} {error}", question.url());
                blame(Mark::Fail, problem);
            }
            (Err(error), None) if answer.status == 200 => {
                let problem = format!("{} {error}, so other homeservers ignore it", question.url());
                blame(Mark::Warn, problem);
            }
            (Err(_), None) => {}
        }
    }
    match (faults.is_empty(), found) {
        (false, _) => grouped(faults),
        (true, Some(server)) => vec![(Mark::Ok, format!("{name} leads to {server}"), None)],
        (true, None) if expected.is_some() => vec![skipped("not checked: there is no answer")],
        (true, None) => {
            let text = "none, so other homeservers use an SRV record or port 8448";
            vec![(Mark::Ok, text.to_owned(), None)]
        }
    }
}

/// The keys with their signature.
pub(super) fn keys(at: &Gathered, _: &Question, answer: &Answer) -> Result<String, Fault> {
    let name = at.target.server_name.as_str();
    let wrong = |problem: String, help: &str| Fault {
        problem: format!("the answer to a question for the keys {problem}"),
        help: help.to_owned(),
    };
    let json = match answer.json() {
        Some(json) if answer.status == 200 => json,
        _ => return Err(wrong(format!("has status {}", answer.status), PASS_ON)),
    };
    match signature::verify(&json, name, at.now) {
        Ok(keys) => Ok(format!("signed by {name} with {}", keys.join(", "))),
        Err(problem) if problem.contains("valid_until_ts") => {
            Err(wrong(problem, "check the clock of this host: timedatectl"))
        }
        Err(problem) => {
            let help = "another homeserver may answer there: let the name lead to this host (DNS record, reverse proxy)";
            Err(wrong(problem, help))
        }
    }
}

/// The name and version of the software.
pub(super) fn software(_: &Gathered, _: &Question, answer: &Answer) -> Result<String, Fault> {
    let json = answer.json().filter(|_| answer.status == 200);
    let text = |key: &str| {
        let value = json.as_ref()?.get("server")?.get(key)?.as_str()?;
        Some(value.escape_debug().to_string())
    };
    match (text("name"), text("version")) {
        (Some(name), Some(version)) => Ok(format!("{name} {version}")),
        _ => Err(Fault {
            problem: format!(
                "/_matrix/federation/v1/version has status {} and names no software",
                answer.status
            ),
            help: PASS_ON.to_owned(),
        }),
    }
}
