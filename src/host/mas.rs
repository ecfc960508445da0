//! The Matrix Authentication Service, which this program does not run.

use super::probe::{Peer, get_of, reachable};
use crate::settings::types::{ServiceUrl, unbracketed};
use anyhow::{Context, Result, ensure};
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

/// The timeout of a question to the service.
pub const MAS_TIMEOUT: Duration = Duration::from_secs(5);

/// The keys that Synapse needs in the answer (api/auth/mas.py, `ServerMetadata`).
const METADATA: [&str; 2] = ["\"issuer\"", "\"account_management_uri\""];

/// Asks the service for the document that Synapse reads first (api/auth/mas.py, `_load_metadata`). Over TLS, only the
/// connection is tried.
///
/// # Errors
/// When no address of the host accepts connections, or the answer is not that document.
pub fn discovery(url: &ServiceUrl, end: Instant) -> Result<()> {
    let host = unbracketed(url.host());
    let addresses = (host, url.port()).to_socket_addrs();
    let addresses = addresses.with_context(|| format!("cannot find the address of {host}"))?;
    let mut last = None;
    for address in addresses {
        let answer = match url.is_https() {
            true => reachable(address, end).map(|()| None),
            false => {
                let path = format!("{}/.well-known/openid-configuration", url.path());
                get_of(&Peer::Address(address), url.authority(), &path, end).map(Some)
            }
        };
        match answer {
            Ok(None) => return Ok(()),
            Ok(Some(answer)) => {
                let complete = METADATA.iter().all(|key| answer.body.contains(key));
                ensure!(
                    answer.status == 200 && complete,
                    "it answers {} to the request for its metadata",
                    answer.status
                );
                return Ok(());
            }
            Err(error) => last = Some(error),
        }
    }
    last.map_or_else(|| anyhow::bail!("{host} has no address"), Err)
}
