//! The text of the report, and its JSON. Pure.

use super::rows::{Facts, Missing, missing};
use serde::Serialize;

/// The report, with the keys that it has in the JSON of `install`.
#[derive(Debug, Serialize)]
pub(in super::super) struct Closing {
    name: String,
    address: String,
    answers: bool,
    processes: usize,
    missing: Vec<Missing>,
}

impl Closing {
    /// The report about a server.
    pub fn new(facts: Facts) -> Self {
        Self {
            missing: missing(&facts),
            name: facts.server,
            address: facts.address,
            answers: facts.answers,
            processes: facts.processes,
        }
    }

    /// The lines of the report. A `brief` one leaves out the parts without which the server is of use.
    pub fn lines(&self, brief: bool) -> Vec<String> {
        let processes = match self.processes {
            1 => "1 process".to_owned(),
            number => format!("{number} processes"),
        };
        let answers = if self.answers { "; nginx answers" } else { "" };
        let mut lines = vec![format!(
            "{} at {}: {processes}{answers}",
            self.name, self.address
        )];
        let missing = self.missing.iter().filter(|part| part.needed || !brief);
        for (number, missing) in missing.enumerate() {
            if number == 0 {
                lines.push("Missing or at fault:".to_owned());
            }
            lines.push(format!("  {}: {}", missing.part, missing.problem));
            lines.push(format!("    {}", missing.command));
        }
        if !brief {
            lines.push("Next: sudo synapse-workers status; man synapse-workers-health".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::CertificateFact;
    use super::super::rows::tests::complete;
    use super::*;

    #[test]
    fn the_report_fits_a_terminal() {
        let facts = Facts {
            certificate: CertificateFact::Missing { orderable: true },
            has_person: Some(false),
            reach: None,
            has_backups: false,
            ..complete()
        };
        let lines = Closing::new(facts).lines(false);
        assert_eq!(
            lines.join("\n"),
            "example.org at https://example.org/: 4 processes; nginx answers\n\
             Missing or at fault:\n  \
               certificate: none, and other homeservers connect over HTTPS only\n    \
                 sudo synapse-workers install --acme=EMAIL\n  \
               account: no user can log in yet\n    \
                 sudo synapse-workers user add NAME --admin\n  \
               reachability: not checked from outside yet\n    \
                 sudo synapse-workers reach\n  \
               backup: none; backup.repository is not set\n    \
                 man synapse-workers-backup\n\
             Next: sudo synapse-workers status; man synapse-workers-health"
        );
        assert!(lines.iter().all(|line| line.len() < 80));
        // Without changes it is brief.
    }

    #[test]
    fn a_brief_report_has_only_what_a_server_needs() {
        let facts = Facts {
            has_person: Some(false),
            reach: None,
            has_backups: false,
            ..complete()
        };
        assert_eq!(
            Closing::new(facts).lines(true)[1..],
            [
                "Missing or at fault:",
                "  account: no user can log in yet",
                "    sudo synapse-workers user add NAME --admin"
            ]
        );
        assert_eq!(
            Closing::new(complete()).lines(true),
            ["example.org at https://example.org/: 4 processes; nginx answers"]
        );
    }
}
