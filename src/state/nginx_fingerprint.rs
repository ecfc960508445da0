//! Which configuration nginx runs, as it tells itself.

use super::digest;

/// Where nginx tells this host the fingerprint of the configuration that it runs.
pub const FINGERPRINT_PATH: &str = "/_synapse/workers/configuration";

/// What the line that tells it contains, in the file and in the answer.
const FINGERPRINT: &str = "{\"fingerprint\":\"";

/// The fingerprint of nginx.conf and listen.conf: of all but the line that tells it, so that it changes only when
/// something else does, and can be made of files that somebody edited.
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

/// The fingerprint in an answer of nginx.
pub fn told(answer: &str) -> Option<&str> {
    answer.strip_prefix(FINGERPRINT)?.split('"').next()
}
