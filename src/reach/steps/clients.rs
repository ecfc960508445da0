//! The answers for clients.

use super::servers::PASS_ON;
use super::{Seen, each};
use crate::reach::answer::Answer;
use crate::reach::finding::Fault;
use crate::reach::gathered::Gathered;
use crate::reach::question::{Purpose, Question, SITE};
use crate::settings::TRANSPORTS_KEY;
use serde_json::Value;

/// The feature of simplified sliding sync (MSC4186), by the name under which clients look for it.
const SLIDING_SYNC: &str = "org.matrix.simplified_msc3575";

const ORIGIN: &str = "access-control-allow-origin";

/// /.well-known/matrix/client, in which clients find the URL ("Well-known URI" in the client-server API).
pub(super) fn file(at: &Gathered, question: &Question, answer: &Answer) -> Result<String, Fault> {
    let (url, name) = (question.url(), &at.target.server_name);
    let fault = |problem: String| Fault {
        problem,
        help: format!(
            "let {url} lead to this host (reverse proxy, DNS record of {})",
            name.host()
        ),
    };
    let wanted = at.target.base_url.as_ref();
    let own = format!("https://{}", name.host());
    let is_own = wanted.is_none_or(|url| {
        url.is_https() && url.port() == 443 && url.host() == name.host() && url.path().is_empty()
    });
    match (answer.status, wanted) {
        (404, _) if is_own => return Ok(format!("none, so clients use {own}/")),
        (404, Some(base)) => {
            return Err(fault(format!(
                "{url} is missing, so clients do not find {base}"
            )));
        }
        (200, _) => {}
        (status, _) => {
            return Err(fault(format!(
                "{url} has status {status}, and clients stop there"
            )));
        }
    }
    let json = answer.json();
    let base = json
        .as_ref()
        .and_then(|json| json.get("m.homeserver")?.get("base_url")?.as_str());
    let base = base.ok_or_else(|| fault(format!("{url} has no m.homeserver.base_url")))?;
    let wanted = wanted.map_or(own.as_str(), |url| url.as_str());
    if base.trim_end_matches('/') != wanted.trim_end_matches('/') {
        return Err(Fault {
            problem: format!(
                "{url} leads clients to {}, and not to {wanted}",
                base.escape_debug()
            ),
            help: format!(
                "{}, or set public_baseurl to that URL",
                fault(String::new()).help
            ),
        });
    }
    origin(answer)?;
    Ok(format!("clients use {base}"))
}

/// The versions of the specification that the server has for clients.
pub(super) fn versions(
    _: &Gathered,
    question: &Question,
    answer: &Answer,
) -> Result<String, Fault> {
    let json = answer.json().filter(|_| answer.status == 200);
    let versions = json
        .as_ref()
        .and_then(|json| json.get("versions")?.as_array());
    let versions: Vec<&str> = versions
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let (Some(first), Some(last)) = (versions.first(), versions.last()) else {
        return Err(Fault {
            problem: format!(
                "{} has status {} and no versions",
                question.url(),
                answer.status
            ),
            help: PASS_ON.to_owned(),
        });
    };
    origin(answer)?;
    Ok(format!(
        "versions {} to {}",
        first.escape_debug(),
        last.escape_debug()
    ))
}

/// The answer to a browser before it sends a request with a token.
pub(super) fn preflight(
    _: &Gathered,
    question: &Question,
    answer: &Answer,
) -> Result<String, Fault> {
    let fault = |problem: String| Fault {
        problem: format!("OPTIONS {} {problem}", question.url()),
        help: "let the reverse proxy pass on OPTIONS requests and the headers of the answers"
            .to_owned(),
    };
    if !(200..300).contains(&answer.status) {
        return Err(fault(format!(
            "has status {}, so browsers send no request",
            answer.status
        )));
    }
    origin(answer)?;
    // A browser needs no permission for GET and POST, and `*` permits all methods, but not this header (Fetch standard).
    for (name, wanted, all) in [
        ("access-control-allow-headers", "authorization", None),
        ("access-control-allow-methods", "put", Some("*")),
    ] {
        let found = words(answer, name);
        if !found.iter().any(|word| word == wanted || all == Some(word)) {
            return Err(fault(format!("has no {wanted} in {name}")));
        }
    }
    Ok("browsers of other sites may use the API".to_owned())
}

/// Whether clients such as Element X can use the server.
pub(super) fn sliding_sync(
    _: &Gathered,
    question: &Question,
    answer: &Answer,
) -> Result<String, Fault> {
    if answer.status != 200 {
        return Ok(String::new());
    }
    let json = answer.json().unwrap_or_default();
    match json["unstable_features"][SLIDING_SYNC].as_bool() {
        Some(true) => Ok("simplified (MSC4186)".to_owned()),
        _ => Err(Fault {
            problem: format!(
                "{} does not have {SLIDING_SYNC}, which Element X needs",
                question.url()
            ),
            help: "let public_baseurl lead to this host: Synapse has it since 1.114".to_owned(),
        }),
    }
}

/// The transports for calls, if the settings have some.
pub(super) fn calls(at: &Gathered) -> Vec<Seen> {
    match at.target.has_calls {
        true => each(at, Purpose::ClientFile, transports),
        false => Vec::new(),
    }
}

fn transports(_: &Gathered, question: &Question, answer: &Answer) -> Result<String, Fault> {
    if answer.status != 200 {
        return Ok(String::new());
    }
    let json = answer.json().unwrap_or_default();
    match json[TRANSPORTS_KEY].as_array().map_or(0, Vec::len) {
        0 => Err(Fault {
            problem: format!("{} has no {TRANSPORTS_KEY}, so clients start no calls", question.url()),
            help: "let the file come from this host, which adds those of rtc (synapse-workers-calls(7))".to_owned(),
        }),
        count => Ok(format!("transports: {count} (MSC4143)")),
    }
}

/// Checks that browsers let every site read the answer: exactly one header permits all of them, or this one.
fn origin(answer: &Answer) -> Result<(), Fault> {
    let found = words(answer, ORIGIN);
    let (problem, help) = match found.as_slice() {
        [one] if one == "*" || one == SITE => return Ok(()),
        [] => (
            "the answer has no header Access-Control-Allow-Origin, so web clients cannot read it"
                .to_owned(),
            "let the reverse proxy pass on the headers of the answers, and send `Access-Control-Allow-Origin: *` with \
             those of its own",
        ),
        [_] => (
            format!(
                "Access-Control-Allow-Origin of the answer is {}",
                found[0].escape_debug()
            ),
            "let the reverse proxy pass on that header unchanged",
        ),
        _ => (
            format!(
                "the answer has {} values in Access-Control-Allow-Origin, and browsers refuse it",
                found.len()
            ),
            "remove the header that the reverse proxy adds: Synapse and nginx send it",
        ),
    };
    Err(Fault {
        problem,
        help: help.to_owned(),
    })
}

/// The values of a header, in lower case.
fn words(answer: &Answer, header: &str) -> Vec<String> {
    let values = answer.header(header).iter();
    let words = values.flat_map(|value| value.split(','));
    words.map(|word| word.trim().to_ascii_lowercase()).collect()
}
