//! The state of the certificate: a placeholder, or issued by the authority, and the result of the last attempt.

use super::super::certificate::Pair;
use super::super::files::{self, Scratch};
use super::super::tools::Tool;
use super::record::{Attempts, Failed};
use crate::state::acme::{FILE, Order};
use crate::state::{State, paths, units};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt;

/// How long a placeholder is valid, in days. Its end raises the alert for certificates that expire.
const PLACEHOLDER_DAYS: &str = "90";

/// The certificate of `tls.acme` on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The last day on which it is valid, as in 2026-02-28; `None` while it is a placeholder.
    pub valid_until: Option<String>,
    /// Why the authority issued none at the last attempt; `None` if that attempt succeeded, or if there was none.
    pub failed: Option<Failed>,
    /// The minutes until the authority may be asked again, after several failures.
    pub pause: Option<u64>,
}

impl Certificate {
    /// Whether the authority issued it.
    pub fn is_issued(&self) -> bool {
        self.valid_until.is_some()
    }

    /// The remedy if the last attempt failed, and the command that repeats it.
    pub fn remedy(&self) -> String {
        let repeat = repeat(self.pause);
        match &self.failed {
            Some(failed) if !failed.help.is_empty() => format!("{}; then: {repeat}", failed.help),
            _ => repeat,
        }
    }
}

/// The ways to another attempt, which is permitted after these minutes.
pub(super) fn repeat(pause: Option<u64>) -> String {
    let wait = pause.map_or_else(String::new, |minutes| {
        format!("wait {minutes} minutes, then ")
    });
    format!(
        "{wait}synapse-workers install (or wait for {})",
        units::ACME
    )
}

/// As in the sentence "certificate: …".
impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.failed.as_ref().map(|failed| &failed.problem);
        match (&self.valid_until, reason) {
            (None, None) => write!(f, "placeholder"),
            (None, Some(reason)) => {
                write!(f, "placeholder, because the last attempt failed: {reason}")
            }
            (Some(day), None) => write!(f, "issued, valid until {day}"),
            (Some(day), Some(reason)) => {
                write!(
                    f,
                    "issued, valid until {day}; the last attempt failed: {reason}"
                )
            }
        }
    }
}

/// The certificate of the generation in use; `None` if it does not use `tls.acme`.
///
/// # Errors
/// When a file cannot be read.
pub fn certificate() -> Result<Option<Certificate>> {
    let Some(order) = order_in_use()? else {
        return Ok(None);
    };
    let attempts = Attempts::of(&order)?;
    Ok(Some(Certificate {
        valid_until: match is_deployed()? {
            true => last_day(),
            false => None,
        },
        pause: attempts.pause(),
        failed: attempts.last,
    }))
}

/// Whether the authority has to be asked for the certificate of this state.
///
/// # Errors
/// When a file cannot be read.
pub fn is_due(desired: &State) -> Result<bool> {
    let Some(order) = Order::of_state(desired) else {
        return Ok(false);
    };
    // A missing pair is created, from the newest certificate if that fulfills the order.
    let outdated = files::exists(paths::ACME_PAIR) && !is_deployed()?;
    Ok(!is_fulfilled(&order)? || outdated || Attempts::of(&order)?.last.is_some())
}

/// The order of the generation in use.
pub(super) fn order_in_use() -> Result<Option<Order>> {
    let options = files::read_text(paths::ACME_ORDER)?;
    Ok(options.map(|text| Order::of_options(&text)))
}

/// The order that the newest certificate fulfills.
pub(super) fn fulfilled() -> Result<Option<Order>> {
    let text = files::read(paths::ACME_FULFILLED)?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
}

pub(super) fn is_fulfilled(order: &Order) -> Result<bool> {
    Ok(fulfilled()?.as_ref() == Some(order) && files::exists(paths::ACME_CHAIN))
}

/// The newest certificate of the authority with its key, if there is one.
fn newest() -> Result<Option<Vec<u8>>> {
    let pair = Pair {
        certificate: paths::ACME_CHAIN.into(),
        key: paths::ACME_KEY.into(),
    };
    files::exists(&pair.certificate)
        .then(|| pair.read())
        .transpose()
}

/// Whether the pair that nginx gets is that of the authority.
fn is_deployed() -> Result<bool> {
    let newest = newest()?;
    Ok(newest.is_some() && newest == files::read(paths::ACME_PAIR)?)
}

/// Makes the newest certificate the pair that nginx gets.
pub(super) fn deploy() -> Result<()> {
    match newest()? {
        Some(pair) if !is_deployed()? => files::replace(paths::ACME_PAIR, &pair, 0o600),
        _ => Ok(()),
    }
}

/// Creates the pair that nginx gets first: the certificate of an earlier installation if it fulfills the order, or else a
/// placeholder that no client trusts.
///
/// # Errors
/// When openssl fails.
pub fn create_pair(desired: &State) -> Result<()> {
    let order = Order::of_state(desired).with_context(|| format!("{FILE} was not rendered"))?;
    let issued = newest()?.filter(|_| is_fulfilled(&order).unwrap_or(false));
    let pair = issued.map_or_else(|| placeholder(&order.names), Ok)?;
    files::replace(paths::ACME_PAIR, &pair, 0o600)
}

fn placeholder(names: &[String]) -> Result<Vec<u8>> {
    // The directory is in memory and closed to other accounts.
    let scratch = Scratch::new(0o700)?;
    let pair = Pair {
        certificate: scratch.at("certificate.pem"),
        key: scratch.at("key.pem"),
    };
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    Tool::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-days", PLACEHOLDER_DAYS])
        .args(["-subj", "/CN=placeholder of synapse-workers", "-addext"])
        .args([format!("subjectAltName={}", names.join(","))])
        .args(["-keyout".as_ref(), pair.key.as_os_str()])
        .args(["-out".as_ref(), pair.certificate.as_os_str()])
        .run()?;
    pair.read()
}

/// The last day of the pair that nginx gets.
fn last_day() -> Option<String> {
    let text = Tool::new("openssl")
        .args(["x509", "-noout", "-enddate", "-dateopt", "iso_8601", "-in"])
        .args([paths::ACME_PAIR])
        .run()
        .ok()?;
    // As in `notAfter=2026-02-28 14:18:02Z`.
    let (_, end) = text.trim().split_once('=')?;
    end.split(' ').next().map(str::to_owned)
}
