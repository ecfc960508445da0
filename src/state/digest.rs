//! Digests of contents.

use sha2::{Digest, Sha256};

/// The SHA-256 digest of the contents, in hexadecimal digits.
pub fn digest(contents: &[u8]) -> String {
    let hash = Sha256::digest(contents);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
