//! A probe of the Matrix Authentication Service.

use super::Expected;
use crate::host::{self, Host};
use anyhow::Result;
use std::time::Instant;

/// Paths for which Synapse asks the service (rest/well_known.py, rest/client/auth_metadata.py). It answers 500 if the
/// service does not.
pub(super) static ASK: &[&str] = &[
    "/.well-known/matrix/client",
    "/_matrix/client/v1/auth_metadata",
];

/// Whether there is such a service and it does not answer.
pub(super) fn is_silent(expected: &Expected, end: Instant) -> bool {
    let url = expected.mas.as_ref();
    url.is_some_and(|url| host::discovery(url, end).is_err())
}

/// Whether the service answers. That it does not is no failure: this program does not run it, and it may need Synapse
/// before it can start.
pub(super) fn answers(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some(url) = &expected.mas else {
        return Ok("not used".to_owned());
    };
    Ok(match host::discovery(url, end) {
        Ok(()) => format!("{url} answers"),
        Err(error) => {
            format!(
                "WARNING: {url} does not answer ({error:#}), so users cannot log in; start it, or correct mas.endpoint"
            )
        }
    })
}
