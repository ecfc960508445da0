//! Each fault, made in the answers of a server that is right, is found by its step, with its remedy.

use super::{STEPS, findings};
use crate::reach::addresses::Addresses;
use crate::reach::answer::{Answer, Kind, Trouble};
use crate::reach::finding::{Finding, Mark, Verdict};
use crate::reach::gathered::{Exchange, Gathered};
use crate::reach::place::Service;
use crate::reach::question::{Purpose, Question};
use crate::reach::signature::tests::signed;
use crate::reach::target::{Certificate, Target};
use crate::settings::types::{BaseUrl, ServerName};
use crate::settings::value::Scalar;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::IpAddr;

const V4: &str = "1.1.1.1";
const V6: &str = "2606:4700::1";

fn target() -> Target {
    Target {
        server_name: <ServerName as Scalar>::parse("example.org").unwrap(),
        base_url: Some(<BaseUrl as Scalar>::parse("https://matrix.example.org/").unwrap()),
        federates: true,
        delegates: true,
        has_calls: true,
        certificate: Certificate::Acme,
        is_local: false,
    }
}

/// The answer of a server that is right.
fn right(question: &Question) -> Answer {
    let body = match question.purpose {
        Purpose::ServerFile => json!({"m.server": "matrix.example.org:443"}),
        Purpose::ClientFile => json!({
            "m.homeserver": {"base_url": "https://matrix.example.org"},
            "org.matrix.msc4143.rtc_foci": [{"type": "livekit"}],
        }),
        Purpose::Versions => json!({
            "versions": ["v1.1", "v1.12"],
            "unstable_features": {"org.matrix.simplified_msc3575": true},
        }),
        Purpose::Preflight => json!({}),
        Purpose::Keys => signed(|_| ()),
        Purpose::Software => json!({"server": {"name": "Synapse", "version": "1.163.2"}}),
    };
    let header = |name: &str, value: &str| (name.to_owned(), vec![value.to_owned()]);
    Answer {
        status: 200,
        headers: [
            header("access-control-allow-origin", "*"),
            header(
                "access-control-allow-methods",
                "GET, HEAD, POST, PUT, DELETE, OPTIONS",
            ),
            header(
                "access-control-allow-headers",
                "Content-Type, Authorization",
            ),
        ]
        .into(),
        body: body.to_string(),
    }
}

/// Everything that is gathered about a server, whose answers to some questions may be different.
fn gathered(target: Target, answer: impl Fn(&Question) -> Result<Answer, Trouble>) -> Gathered {
    let exchange = |question: Question| Exchange {
        answer: answer(&question),
        question,
    };
    let mut at = Gathered::new(target, Vec::new(), 1000);
    let both: Vec<IpAddr> = vec![V4.parse().unwrap(), V6.parse().unwrap()];
    let addresses = Addresses {
        public: Ok(both.clone()),
        here: both,
    };
    for host in at.target.hosts() {
        at.names.insert(host, addresses.clone());
    }
    at.exchanges = at.first_questions().into_iter().map(exchange).collect();
    let records = at.services().into_iter().map(|name| (name, Ok(Vec::new())));
    at.records = records.collect();
    for place in at.places() {
        at.names
            .entry(place.host)
            .or_insert_with(|| addresses.clone());
    }
    let of_servers: Vec<_> = at
        .questions_of_servers()
        .into_iter()
        .map(exchange)
        .collect();
    at.exchanges.extend(of_servers);
    at
}

fn all_right() -> Gathered {
    gathered(target(), |question| Ok(right(question)))
}

/// A server whose answers to one kind of question are changed.
fn changed(purpose: Purpose, change: impl Fn(&mut Answer)) -> Gathered {
    gathered(target(), |question| {
        let mut answer = right(question);
        if question.purpose == purpose {
            change(&mut answer);
        }
        Ok(answer)
    })
}

/// A server with another JSON for one kind of question.
fn with_body(purpose: Purpose, body: &Value) -> Gathered {
    changed(purpose, |answer| answer.body = body.to_string())
}

/// A server without an answer at one address.
fn dead(address: &str, kind: Kind) -> Gathered {
    let address: IpAddr = address.parse().unwrap();
    gathered(target(), |question| match question.address == address {
        true => Err(Trouble::new(kind, "x")),
        false => Ok(right(question)),
    })
}

fn failed(at: &Gathered) -> Vec<Finding> {
    let all = findings(at).into_iter();
    all.filter(|one| one.result == Mark::Fail).collect()
}

#[test]
fn a_server_that_is_right_has_no_fault() {
    let all = findings(&all_right());
    let marks: Vec<(&str, Mark)> = all.iter().map(|one| (one.step, one.result)).collect();
    assert!(
        marks
            .iter()
            .all(|(step, mark)| *mark == Mark::Ok || (*step, *mark) == ("SRV records", Mark::Skip)),
        "{all:#?}"
    );
    let verdict = Verdict::of(&all, 7);
    assert_eq!((verdict.ok, verdict.faults, verdict.time), (true, 0, 7));
    assert_eq!(
        verdict.to_string(),
        "other homeservers and clients reach this server"
    );
}

/// The step that finds each fault, a part of its text and a part of its remedy.
#[test]
fn every_fault_is_found_with_its_remedy() {
    let origin = "access-control-allow-origin";
    let no_addresses = || {
        let mut at = all_right();
        let none = Addresses {
            public: Ok(Vec::new()),
            here: Vec::new(),
        };
        at.names.insert("matrix.example.org".to_owned(), none);
        at
    };
    let only_here = || {
        let mut at = all_right();
        let here = Addresses {
            public: Ok(Vec::new()),
            here: vec![V4.parse().unwrap()],
        };
        at.names.insert("example.org".to_owned(), here);
        at
    };
    let closed = || {
        let mut at = all_right();
        let record = Service {
            priority: 0,
            target: String::new(),
            port: 0,
        };
        at.records = vec![("_matrix-fed._tcp.example.org".to_owned(), Ok(vec![record]))];
        at
    };
    let mut features = json!({"versions": ["v1.1"], "unstable_features": {}});
    features["unstable_features"]["other"] = json!(true);
    let elsewhere = json!({"m.homeserver": {"base_url": "https://other.example.org/"}});
    let here = json!({"m.homeserver": {"base_url": "https://matrix.example.org/"}});
    let stranger =
        signed(|answer| drop(answer.insert("server_name".to_owned(), json!("b.example"))));
    let old = signed(|answer| drop(answer.insert("valid_until_ts".to_owned(), json!(1000))));
    #[rustfmt::skip] // one fault per line
    let faults: Vec<(Gathered, &str, &str, &str)> = vec![
        (no_addresses(), "DNS records", "matrix.example.org has no A and no AAAA record", "create an A or AAAA record for matrix.example.org"),
        (only_here(), "DNS records", "this host alone resolves it", "create an A or AAAA record for example.org"),
        (dead(V6, Kind::Refused), "connections", "(2606:4700::1): the connection is refused", "remove the AAAA record of"),
        (dead(V4, Kind::Silent), "connections", "(1.1.1.1): no answer in time", "permit TCP port 443"),
        (dead(V4, Kind::OtherName), "connections", "the certificate is not for", "to `names` in tls.acme"),
        (dead(V4, Kind::SelfSigned), "connections", "signed by no authority", "synapse-workers status"),
        (dead(V4, Kind::Untrusted), "connections", "not trusted", "an authority that clients and servers trust"),
        (dead(V4, Kind::NoTls), "connections", "handshake of TLS", "serve HTTPS at port 443"),
        (dead(V4, Kind::Redirects), "connections", "x", "at most 20 redirects"),
        (changed(Purpose::ServerFile, |answer| answer.status = 404), "file for servers", "answers 404", "lead to this host"),
        (with_body(Purpose::ServerFile, &json!({"m.server": "other.example:443"})), "file for servers", "leads to other.example:443, and public_baseurl to matrix.example.org:443", "lead to this host"),
        (closed(), "SRV records", "its target is a dot", "remove the record _matrix-fed._tcp.example.org"),
        (with_body(Purpose::Keys, &stranger), "server keys", "is about b.example and not about example.org", "another homeserver"),
        (with_body(Purpose::Keys, &old), "server keys", "not valid any more", "timedatectl"),
        (changed(Purpose::Keys, |answer| answer.status = 502), "server keys", "has status 502", "reverse proxy"),
        (changed(Purpose::Software, |answer| answer.status = 404), "server API", "has status 404", "reverse proxy"),
        (changed(Purpose::ClientFile, |answer| answer.status = 404), "file for clients", "is missing, so clients do not find https://matrix.example.org/", "lead to this host"),
        (with_body(Purpose::ClientFile, &elsewhere), "file for clients", "leads clients to https://other.example.org/", "set public_baseurl"),
        (changed(Purpose::Versions, |answer| answer.status = 502), "client API", "has status 502", "reverse proxy"),
        (changed(Purpose::Versions, |answer| drop(answer.headers.remove(origin))), "client API", "no header Access-Control-Allow-Origin", "pass on the headers"),
        (changed(Purpose::Versions, |answer| answer.headers.get_mut(origin).unwrap().push("*".to_owned())), "client API", "has 2 values", "remove the header that the reverse proxy adds"),
        (changed(Purpose::Preflight, |answer| answer.status = 405), "CORS", "has status 405", "pass on OPTIONS"),
        (changed(Purpose::Preflight, |answer| drop(answer.headers.remove("access-control-allow-headers"))), "CORS", "has no authorization", "pass on OPTIONS"),
        (changed(Purpose::Preflight, |answer| drop(answer.headers.insert("access-control-allow-methods".to_owned(), vec!["GET, POST".to_owned()]))), "CORS", "has no put", "pass on OPTIONS"),
        (with_body(Purpose::Versions, &features), "sliding sync", "does not have org.matrix.simplified_msc3575", "1.114"),
        (with_body(Purpose::ClientFile, &here), "calls", "has no org.matrix.msc4143.rtc_foci", "calls(7)"),
    ];
    let mut found = BTreeSet::new();
    for (at, step, text, help) in &faults {
        let failed = failed(at);
        let first = failed
            .first()
            .unwrap_or_else(|| panic!("{step}: {text}: no fault"));
        assert_eq!(first.step, *step, "{failed:#?}");
        assert!(first.text.contains(text), "{first:?}");
        assert!(first.help.as_ref().unwrap().contains(help), "{first:?}");
        found.insert(first.step);
    }
    let steps: BTreeSet<&str> = STEPS.iter().map(|step| step.name).collect();
    assert_eq!(found, steps, "every step finds a fault");
}

#[test]
fn a_fault_at_both_addresses_is_one() {
    let failed = failed(&changed(Purpose::Software, |answer| answer.status = 500));
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(
        failed[0]
            .text
            .starts_with("matrix.example.org port 443 (1.1.1.1, 2606:4700::1): ")
    );
}

#[test]
fn a_server_without_files_is_reached_at_its_name() {
    let simple = Target {
        base_url: None,
        delegates: false,
        has_calls: false,
        ..target()
    };
    let answer = |question: &Question| {
        let is_file = matches!(question.purpose, Purpose::ServerFile | Purpose::ClientFile);
        let status = if is_file { 404 } else { 200 };
        Ok(Answer {
            status,
            ..right(question)
        })
    };
    let at = gathered(simple.clone(), answer);
    assert_eq!(failed(&at), []);
    let ports: BTreeSet<u16> = at.exchanges.iter().map(|one| one.question.port).collect();
    assert_eq!(ports, [443, 8448].into());
    // Without an answer at port 8448, the remedy also names the way over port 443.
    let at = gathered(simple, |question| match question.port {
        8448 => Err(Trouble::new(Kind::Refused, "x")),
        _ => answer(question),
    });
    let failed = failed(&at);
    assert!(
        failed[0].text.starts_with("example.org port 8448 (1.1.1.1"),
        "{failed:#?}"
    );
    assert!(failed.iter().any(|one| {
        one.help
            .as_ref()
            .unwrap()
            .contains("serve_server_wellknown: true")
    }));
}

#[test]
fn a_server_without_federation_is_checked_for_clients_only() {
    let closed = Target {
        federates: false,
        ..target()
    };
    let at = gathered(closed, |question| {
        assert!(!question.purpose.is_of_servers(), "{question:?}");
        Ok(right(question))
    });
    let all = findings(&at);
    assert!(all.iter().all(|one| one.result != Mark::Fail), "{all:#?}");
    let skipped = all
        .iter()
        .filter(|one| one.text.contains("federation_domain_whitelist"));
    assert_eq!(skipped.count(), 4, "{all:#?}");
}

#[test]
fn an_address_that_this_host_alone_knows_is_no_fault() {
    let mut at = dead("127.0.1.1", Kind::Refused);
    let addresses = at.names.get_mut("matrix.example.org").unwrap();
    addresses.here = vec!["127.0.1.1".parse().unwrap()];
    at.exchanges = at
        .first_questions()
        .into_iter()
        .map(|question| Exchange {
            answer: match question.is_public {
                true => Ok(right(&question)),
                false => Err(Trouble::new(Kind::Refused, "x")),
            },
            question,
        })
        .collect();
    let all = findings(&at);
    let warned = all.iter().find(|one| one.result == Mark::Warn).unwrap();
    assert!(
        warned.help.as_ref().unwrap().contains("/etc/hosts"),
        "{warned:?}"
    );
    assert!(Verdict::of(&all, 0).ok);
}
