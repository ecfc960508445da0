//! The facts of the report, as the host has them after the run.

use super::super::prepared::Prepared;
use super::address;
use super::rows::{CertificateFact, Facts};
use crate::converge::verify::nginx_answers;
use crate::host::backup::Source;
use crate::host::{self, acme};
use crate::settings::Settings;
use std::time::{Duration, Instant};

/// How long nginx has for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Gathers the facts. The run has succeeded: a question without an answer leaves its fact unknown.
pub(in super::super) fn gather(prepared: &Prepared) -> Facts {
    let settings = &prepared.request.settings;
    let end = Instant::now() + TIMEOUT;
    let own = prepared.host.facts.address;
    let database = Source::of(&prepared.request);
    Facts {
        server: settings.server_name.to_string(),
        address: address::of_clients(settings, own),
        answers: nginx_answers(&prepared.expected(), end),
        processes: prepared.request.topology.workers.len() + 1,
        certificate: certificate(settings),
        has_person: database.and_then(|database| database.has_person()).ok(),
        uses_mas: settings.mas.is_on(),
        reach: host::reach::verdict().map(|verdict| match verdict.failed {
            Some(fault) => Err(fault.problem),
            None => Ok(()),
        }),
        has_backups: settings.backup.repository.is_some(),
    }
}

fn certificate(settings: &Settings) -> CertificateFact {
    if let Ok(Some(certificate)) = acme::certificate() {
        return match certificate.is_issued() && certificate.failed.is_none() {
            true => CertificateFact::Present,
            false => CertificateFact::Failing {
                state: certificate.to_string(),
                remedy: certificate.remedy(),
            },
        };
    }
    // A reverse proxy has the certificate if the settings name an https URL and no certificate.
    let url = settings.public_baseurl.as_ref();
    match settings.tls.is_on() || url.is_some_and(|url| url.is_https()) {
        true => CertificateFact::Present,
        false => CertificateFact::Missing {
            orderable: settings.suits_lets_encrypt(),
        },
    }
}
