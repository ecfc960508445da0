//! One attempt to obtain or renew the certificate.

use super::super::files;
use super::super::tools::Tool;
use super::answer;
use super::certificate::{self, Certificate};
use super::record::{Attempts, Failed, MOST_IN_AN_HOUR};
use crate::failure::Failure;
use crate::state::acme::Order;
use crate::state::paths;
use anyhow::{Context, Result};
use std::time::Duration;

/// How long certbot may take. An authority may let it wait for the validation of a name.
const TIMEOUT: Duration = Duration::from_secs(14 * 60);

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
        return Ok(certbot
            .args(["renew", "--non-interactive", "--no-random-sleep-on-renew"])
            .args([
                "--cert-name",
                "synapse-workers",
                "--config-dir",
                paths::ACME,
            ])
            .args(["--work-dir", paths::ACME_WORK])
            .args(["--logs-dir", paths::ACME_LOGS]));
    }
    let certbot = certbot.args(["certonly", "--config", paths::ACME_ORDER]);
    let other = certificate::fulfilled()?.filter(|before| before.server != order.server);
    Ok(match other {
        // The certificate of another authority does not count, whatever its age, and may be replaced by one for tests.
        Some(_) => certbot.args(["--force-renewal", "--break-my-certs"]),
        None => certbot,
    })
}
