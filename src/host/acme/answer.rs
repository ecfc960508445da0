//! certbot's output after a failure, reduced to the name, the port and the answer of the authority, with a remedy.

use super::record::Failed;
use crate::printable::printable;
use crate::settings::certificate::CHALLENGE_PORT;
use crate::state::acme::Order;
use crate::state::paths;

/// The maximum length of a problem in characters. The authority decides its length.
const LONGEST: usize = 600;

/// The remedy for a type of error that concerns a name (RFC 8555, 6.7); `{}` stands for the name.
const OF_NAMES: &[(&str, &str)] = &[
    (
        "dns",
        "create an A or AAAA record for {} that leads to this host",
    ),
    (
        "connection",
        "let {} lead to this host (DNS record), and let everyone reach port 80 there (firewall, port forwarding)",
    ),
    (
        "unauthorized",
        "let port 80 of {} lead to this host (DNS record, port forwarding): another server answers there",
    ),
    ("caa", "permit this authority in the CAA record of {}"),
];

/// The remedy for other errors, by a part of certbot's message.
const OTHERS: &[(&str, &str)] = &[
    ("too many", "wait until the time that the authority names"),
    ("rate limit", "wait until the time that the authority names"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "set `ca_file` in tls.acme to the certificate that the server of this internal authority is verified with",
    ),
    ("Connection refused", UNREACHABLE),
    ("ConnectionError", UNREACHABLE),
    ("ConnectTimeout", UNREACHABLE),
    ("timed out", UNREACHABLE),
    ("Failed to resolve", UNREACHABLE),
];

const UNREACHABLE: &str = "check `server` in tls.acme, and whether this host reaches the authority";

/// The remedy if the authority has forgotten the account, as an internal one does when it is built again.
const FORGOTTEN: &str = "remove the account, and have another one created: rm -r";

/// One name that the authority could not verify.
#[derive(Default)]
struct Refused<'a> {
    name: &'a str,
    kind: &'a str,
    detail: &'a str,
}

/// The problem and its remedy in the output of a certbot that failed.
pub(super) fn explain(output: &str, order: &Order) -> Failed {
    let refused = refused(output);
    if let Some(first) = refused.first() {
        let of_name = |one: &Refused| {
            let Refused { name, kind, detail } = one;
            format!("{name} port {CHALLENGE_PORT} ({kind}): {detail}")
        };
        let names: Vec<String> = refused.iter().map(of_name).collect();
        return Failed {
            problem: shortened(&format!(
                "{} answers: {}",
                order.authority(),
                names.join("; ")
            )),
            help: remedy(OF_NAMES, |kind| kind == first.kind).replace("{}", first.name),
        };
    }
    let message = message(output);
    let forgotten = message.contains("Account ") && message.contains("not found");
    let help = match forgotten {
        true => format!("{FORGOTTEN} {}", paths::ACME_ACCOUNTS),
        false => remedy(OTHERS, |part| message.contains(part)),
    };
    let verb = match help == UNREACHABLE {
        true => "is not reached",
        false => "answers",
    };
    Failed {
        problem: shortened(&format!("{} {verb}: {message}", order.authority())),
        help,
    }
}

fn remedy(table: &[(&str, &str)], applies: impl Fn(&str) -> bool) -> String {
    let row = table.iter().find(|(key, _)| applies(key));
    row.map_or_else(String::new, |(_, remedy)| (*remedy).to_owned())
}

/// The names with a problem: certbot prints three lines about each.
fn refused(output: &str) -> Vec<Refused<'_>> {
    let mut names: Vec<Refused> = Vec::new();
    for line in output.lines() {
        let Some((key, value)) = line.trim().split_once(':') else {
            continue;
        };
        let value = value.trim();
        match (key, names.last_mut()) {
            ("Domain", _) => names.push(Refused {
                name: value,
                ..Refused::default()
            }),
            ("Type", Some(last)) => last.kind = value,
            ("Detail", Some(last)) => last.detail = value,
            _ => {}
        }
    }
    names
}

/// The lines of an error that concerns no name, or else the last lines of the output.
fn message(output: &str) -> String {
    let errors = [
        "An unexpected error occurred:",
        "Failed to renew certificate synapse-workers with error:",
    ];
    let found = errors.iter().find_map(|start| output.split_once(start));
    let is_hint =
        |line: &&str| line.starts_with("Ask for help") || line.starts_with("All renewals failed");
    let lines: Vec<&str> = match found {
        Some((_, rest)) => rest
            .lines()
            .map(str::trim)
            .take_while(|line| !is_hint(line))
            .filter(|line| !line.is_empty())
            .collect(),
        None => {
            let lines = output.lines().map(str::trim);
            let lines: Vec<&str> = lines
                .filter(|line| !line.is_empty() && !is_hint(line))
                .collect();
            lines[lines.len().saturating_sub(3)..].to_vec()
        }
    };
    lines.join(" ")
}

/// Without the control characters that a terminal would obey, and not too long.
fn shortened(text: &str) -> String {
    printable(text).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(server: &str) -> Order {
        Order {
            names: vec!["example.org".to_owned()],
            server: server.to_owned(),
        }
    }

    /// Output of certbot 4.0 and 2.1.
    #[test]
    fn each_name_that_the_authority_refuses_is_named_with_its_answer() {
        let output = "Saving debug log to /x.log\nRequesting a certificate for a.example.org and b.example.org\n\n\
            Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported these \
            problems:\n  Domain: a.example.org\n  Type:   dns\n  Detail: DNS problem: NXDOMAIN looking up A for a.example.org\n\n  \
            Domain: b.example.org\n  Type:   connection\n  Detail: 192.0.2.1: Fetching http://b.example.org/: Timeout\n\n\
            Hint: The Certificate Authority failed to download the files.\n\nSome challenges have failed.\n";
        let failed = explain(output, &order(""));
        assert_eq!(
            failed.problem,
            "Let's Encrypt answers: a.example.org port 80 (dns): DNS problem: NXDOMAIN looking up A for a.example.org; \
             b.example.org port 80 (connection): 192.0.2.1: Fetching http://b.example.org/: Timeout"
        );
        assert_eq!(
            failed.help,
            "create an A or AAAA record for a.example.org that leads to this host"
        );
    }

    #[test]
    fn an_error_without_a_name_has_the_remedy_for_its_cause() {
        let directory = "https://ca.internal:9000/dir";
        for (message, problem, help) in [
            (
                "ValueError: Requesting ca.internal/dir: Connection refused",
                "ca.internal:9000 is not reached: ValueError: Requesting ca.internal/dir: Connection refused",
                "whether this host reaches the authority",
            ),
            (
                "too many certificates already issued for \"example.org\". Retry after 2026-03-01T00:00:00Z",
                "ca.internal:9000 answers: too many certificates",
                "wait until the time that the authority names",
            ),
            (
                "requests.exceptions.SSLError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
                "ca.internal:9000 answers: requests.exceptions.SSLError",
                "set `ca_file` in tls.acme",
            ),
            (
                "Account https://ca.internal:9000/my-account/12 not found.",
                "ca.internal:9000 answers: Account",
                "rm -r /etc/synapse-workers/acme/accounts",
            ),
            (
                "Something\u{1b}[31m else",
                "ca.internal:9000 answers: Something?[31m else",
                "",
            ),
        ] {
            let output = format!(
                "Saving debug log to /x.log\nAn unexpected error occurred:\n{message}\nAsk for help or search at https://x\n"
            );
            let failed = explain(&output, &order(directory));
            assert!(failed.problem.starts_with(problem), "{failed:?}");
            assert!(failed.help.contains(help), "{failed:?}");
            assert_eq!(failed.help.is_empty(), help.is_empty(), "{failed:?}");
        }
    }

    #[test]
    fn output_of_an_unknown_form_ends_with_its_last_lines() {
        let failed = explain("one\n\ntwo\nthree\nfour\nAsk for help\n", &order("staging"));
        assert_eq!(
            failed.problem,
            "the test server of Let's Encrypt answers: two three four"
        );
        assert!(explain(&"x".repeat(5000), &order("")).problem.len() <= LONGEST);
    }
}
