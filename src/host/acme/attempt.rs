//! One attempt to obtain or renew the certificate, and the record of those that failed.

use super::super::files;
use super::super::tools::Tool;
use super::answer;
use super::certificate::{self, Certificate, Failed};
use crate::failure::Failure;
use crate::state::acme::Order;
use crate::state::paths;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long certbot may take. An authority may let it wait for the validation of a name.
const TIMEOUT: Duration = Duration::from_secs(14 * 60);

/// The maximum number of failed attempts within an hour. Let's Encrypt refuses further ones after five ("Rate Limits",
/// "Authorization Failures per Identifier per Account").
const MOST_IN_AN_HOUR: usize = 4;
const HOUR: u64 = 3600;

/// The failed attempts for one order since the last success.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Attempts {
    order: Order,
    /// The times of those within the last hour, in seconds since 1970.
    failed: Vec<u64>,
    /// Why the last one failed.
    pub last: Option<Failed>,
}

impl Attempts {
    /// The record for this order; empty if the record is about another one.
    pub(super) fn of(order: &Order) -> Result<Self> {
        let text = files::read(paths::ACME_ATTEMPTS)?;
        let known = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let mut attempts = known
            .filter(|known| known.order == *order)
            .unwrap_or_else(|| Self {
                order: order.clone(),
                ..Self::default()
            });
        let now = now();
        // A time in the future means that the clock was set back.
        attempts.failed.retain(|at| *at <= now && now < at + HOUR);
        Ok(attempts)
    }

    /// The minutes until the next attempt is permitted; `None` if it is now.
    pub(super) fn pause(&self) -> Option<u64> {
        let first = self.failed.len().checked_sub(MOST_IN_AN_HOUR)?;
        let seconds = (self.failed[first] + HOUR).saturating_sub(now());
        Some(seconds.div_ceil(60))
    }

    fn record(mut self, failed: Failed) -> Result<()> {
        self.failed.push(now());
        self.last = Some(failed);
        let text = serde_json::to_string_pretty(&self)?;
        files::replace(paths::ACME_ATTEMPTS, text.as_bytes(), 0o600)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Obtains the certificate that the generation in use orders, or renews it if that is due.
///
/// # Errors
/// With the answer of the authority, and the remedy. The pair that nginx gets is unchanged then.
pub fn obtain() -> Result<Certificate> {
    let order = certificate::order_in_use()?
        .with_context(|| format!("there is no order: {} is missing", paths::ACME_ORDER))?;
    let attempts = Attempts::of(&order)?;
    if let Some(minutes) = attempts.pause() {
        return Err(Failure::failed(format!(
            "{} is not asked, because {MOST_IN_AN_HOUR} attempts have failed within an hour, and authorities limit failures",
            order.authority()
        ))
        .help(certificate::repeat(Some(minutes)))
        .into());
    }
    let output = certbot(&order)?.with_archives().within(TIMEOUT).output();
    let failed = match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let text = [&output.stdout[..], b"\n", &output.stderr].concat();
            Some(answer::explain(&String::from_utf8_lossy(&text), &order))
        }
        Err(error) => Some(Failed {
            problem: format!("{error:#}"),
            help: String::new(),
        }),
    };
    if let Some(failed) = failed {
        let problem = failed.problem.clone();
        attempts.record(failed)?;
        let remedy = certificate::certificate()?.unwrap_or_default().remedy();
        return Err(Failure::failed(problem).help(remedy).into());
    }
    files::replace(paths::ACME_FULFILLED, &serde_json::to_vec(&order)?, 0o600)?;
    certificate::deploy()?;
    files::remove(paths::ACME_ATTEMPTS)?;
    Ok(certificate::certificate()?.unwrap_or_default())
}

/// certbot with the arguments for this order: a renewal if there is a certificate that fulfills it, which asks the authority
/// only if the renewal is due.
fn certbot(order: &Order) -> Result<Tool> {
    let certbot = Tool::new("certbot");
    if certificate::is_fulfilled(order)? {
        let state = |name: &str| format!("{}/{name}", paths::ACME_STATE);
        return Ok(certbot
            .args(["renew", "--non-interactive", "--no-random-sleep-on-renew"])
            .args([
                "--cert-name",
                "synapse-workers",
                "--config-dir",
                paths::ACME,
            ])
            .args(["--work-dir".to_owned(), state("work")])
            .args(["--logs-dir".to_owned(), state("logs")]));
    }
    let certbot = certbot.args(["certonly", "--config", paths::ACME_ORDER]);
    let other = certificate::fulfilled()?.filter(|before| before.server != order.server);
    Ok(match other {
        // The certificate of another authority does not count, whatever its age, and may be replaced by one for tests.
        Some(_) => certbot.args(["--force-renewal", "--break-my-certs"]),
        None => certbot,
    })
}
