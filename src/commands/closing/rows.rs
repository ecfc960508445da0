//! The table of the parts that a server can lack. Pure.

use super::super::user::registration_in_mas;
use serde::Serialize;

/// The state of a server after `install`.
#[derive(Clone)]
pub(in super::super) struct Facts {
    /// The server name.
    pub server: String,
    /// The URL that clients use.
    pub address: String,
    /// Whether nginx answers where it listens on this host.
    pub answers: bool,
    /// The number of Synapse processes, with main.
    pub processes: usize,
    pub certificate: CertificateFact,
    /// Whether a person can log in; `None` if the database did not answer.
    pub has_person: Option<bool>,
    /// Whether the Matrix Authentication Service has the accounts.
    pub uses_mas: bool,
    /// The verdict of the last `reach`; `None` before the first one. An error is the first problem that it found.
    pub reach: Option<Result<(), String>>,
    /// Whether `backup.repository` is set.
    pub has_backups: bool,
}

/// The certificate with which clients reach the server.
#[derive(Clone)]
pub(in super::super) enum CertificateFact {
    /// There is one, here or on a reverse proxy.
    Present,
    /// There is none.
    Missing {
        /// Whether Let's Encrypt may issue one for the names of this server.
        orderable: bool,
    },
    /// `tls.acme` has a placeholder, or its last attempt failed.
    Failing { state: String, remedy: String },
}

/// A missing part, with the keys that it has in the JSON of `install`.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Missing {
    pub part: &'static str,
    pub problem: String,
    /// The command that adds the part.
    pub command: String,
    /// Whether the server is of no use without it.
    #[serde(skip)]
    pub needed: bool,
}

/// A part that a server can lack.
struct Row {
    /// Its name in the report and in the JSON.
    part: &'static str,
    /// Whether the server is of no use without it, so that a run without changes mentions it too.
    needed: bool,
    /// The problem and the command, if the part is missing.
    find: fn(&Facts) -> Option<(String, String)>,
}

static ROWS: [Row; 5] = [
    Row {
        part: "nginx",
        needed: true,
        find: |facts| {
            let text = "does not answer on this host";
            (!facts.answers).then(|| found(text, "sudo synapse-workers verify"))
        },
    },
    Row {
        part: "certificate",
        needed: true,
        find: |facts| match &facts.certificate {
            CertificateFact::Present => None,
            CertificateFact::Missing { orderable: true } => Some(found(
                "none, and other homeservers connect over HTTPS only",
                "sudo synapse-workers install --acme=EMAIL",
            )),
            CertificateFact::Missing { orderable: false } => Some(found(
                "none, and other homeservers connect over HTTPS only",
                "man synapse-workers-tls",
            )),
            CertificateFact::Failing { state, remedy } => Some(found(state, remedy)),
        },
    },
    Row {
        part: "account",
        needed: true,
        find: |facts| {
            let command = match facts.uses_mas {
                true => registration_in_mas("NAME", true),
                false => "sudo synapse-workers user add NAME --admin".to_owned(),
            };
            (facts.has_person == Some(false)).then(|| found("no user can log in yet", &command))
        },
    },
    Row {
        part: "reachability",
        needed: false,
        find: |facts| {
            let problem = match &facts.reach {
                None => "not checked from outside yet".to_owned(),
                Some(Ok(())) => return None,
                Some(Err(problem)) => format!("at the last check, {problem}"),
            };
            Some(found(&problem, "sudo synapse-workers reach"))
        },
    },
    Row {
        part: "backup",
        needed: false,
        find: |facts| {
            let text = "none; backup.repository is not set";
            (!facts.has_backups).then(|| found(text, "man synapse-workers-backup"))
        },
    },
];

/// The parts that a server lacks, in the order of the table.
pub(super) fn missing(facts: &Facts) -> Vec<Missing> {
    let missing = ROWS.iter().filter_map(|row| {
        let (problem, command) = (row.find)(facts)?;
        Some(Missing {
            part: row.part,
            problem,
            command,
            needed: row.needed,
        })
    });
    missing.collect()
}

fn found(problem: &str, command: &str) -> (String, String) {
    (problem.to_owned(), command.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A server that lacks nothing.
    pub fn complete() -> Facts {
        Facts {
            server: "example.org".to_owned(),
            address: "https://example.org/".to_owned(),
            answers: true,
            processes: 4,
            certificate: CertificateFact::Present,
            has_person: Some(true),
            uses_mas: false,
            reach: Some(Ok(())),
            has_backups: true,
        }
    }

    #[test]
    fn each_row_has_a_fact_that_only_it_reports() {
        let failing = CertificateFact::Failing {
            state: "placeholder".to_owned(),
            remedy: "open port 80".to_owned(),
        };
        let missing = |orderable| CertificateFact::Missing { orderable };
        type Change = Box<dyn Fn(&mut Facts)>;
        let cases: Vec<(&str, &str, Change)> = vec![
            ("nginx", "verify", Box::new(|it| it.answers = false)),
            ("certificate", "open port 80", {
                Box::new(move |it| it.certificate = failing.clone())
            }),
            ("certificate", "install --acme=EMAIL", {
                Box::new(move |it| it.certificate = missing(true))
            }),
            ("certificate", "man synapse-workers-tls", {
                Box::new(move |it| it.certificate = missing(false))
            }),
            ("account", "user add NAME --admin", {
                Box::new(|it| it.has_person = Some(false))
            }),
            ("account", "mas-cli manage register-user --admin NAME", {
                Box::new(|it| (it.has_person, it.uses_mas) = (Some(false), true))
            }),
            ("reachability", "synapse-workers reach", {
                Box::new(|it| it.reach = None)
            }),
            ("reachability", "synapse-workers reach", {
                Box::new(|it| it.reach = Some(Err("port 8448 is closed".to_owned())))
            }),
            ("backup", "man synapse-workers-backup", {
                Box::new(|it| it.has_backups = false)
            }),
        ];
        for (part, command, change) in &cases {
            let mut facts = complete();
            change(&mut facts);
            let found = super::missing(&facts);
            let [missing] = &found[..] else {
                panic!("{part}: {found:?}");
            };
            assert_eq!(missing.part, *part);
            assert!(missing.command.ends_with(command), "{missing:?}");
        }
        for row in &ROWS {
            assert!(cases.iter().any(|(part, ..)| *part == row.part));
        }
        assert!(super::missing(&complete()).is_empty());
    }

    #[test]
    fn what_the_database_does_not_say_is_not_missing() {
        let facts = Facts {
            has_person: None,
            ..complete()
        };
        assert!(missing(&facts).is_empty());
    }
}
