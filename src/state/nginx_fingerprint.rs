//! The fingerprint by which nginx reports the configuration that it runs.

use super::digest;

/// The path at which nginx reports to this host the fingerprint of the configuration that it runs.
pub const FINGERPRINT_PATH: &str = "/_synapse/workers/configuration";

/// The text that marks the line with the fingerprint, in the file and in the response.
const FINGERPRINT: &str = "{\"fingerprint\":\"";

/// The fingerprint of nginx.conf and listen.conf. It covers every line except the one that contains it, so that it
/// changes only when another line does, and can be computed from files that were modified outside synapse-workers.
pub fn fingerprint(configuration: &str, listen: &str) -> String {
    let rest = configuration
        .lines()
        .filter(|line| !line.contains(FINGERPRINT));
    let text: String = rest
        .chain(listen.lines())
        .flat_map(|line| [line, "\n"])
        .collect();
    digest(text.as_bytes())
}

/// Extracts the fingerprint from a response of nginx.
pub fn reported(answer: &str) -> Option<&str> {
    answer.strip_prefix(FINGERPRINT)?.split('"').next()
}
