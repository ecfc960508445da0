//! The form in which PostgreSQL stores a password (SCRAM-SHA-256: RFC 5802, RFC 7677; PostgreSQL manual, 53.9). The
//! password itself never reaches the server, whose log may contain statements.

use anyhow::{Context, Result};
use ct_codecs::{Base64, Decoder, Encoder};
use sha2::{Digest, Sha256};

type Hash = [u8; 32];

/// PostgreSQL's default.
const ITERATIONS: u32 = 4096;
const METHOD: &str = "SCRAM-SHA-256";
/// The size of a block of SHA-256 in bytes.
const BLOCK: usize = 64;

/// The stored form of a password, with this salt.
///
/// # Errors
/// None in practice: the salt is encoded in base64.
pub(super) fn stored(password: &str, salt: &[u8]) -> Result<String> {
    with(password, salt, ITERATIONS)
}

/// Whether this is the stored form of a password.
pub(super) fn is_of(stored: &str, password: &str) -> bool {
    let parameters = || {
        let (iterations, salt) = stored
            .strip_prefix(METHOD)?
            .strip_prefix('$')?
            .split('$')
            .next()?
            .split_once(':')?;
        let salt = Base64::decode_to_vec(salt, None).ok()?;
        Some((iterations.parse().ok()?, salt))
    };
    parameters().is_some_and(|(iterations, salt)| {
        with(password, &salt, iterations).is_ok_and(|same| same == stored)
    })
}

fn with(password: &str, salt: &[u8], iterations: u32) -> Result<String> {
    let salted = salted(password.as_bytes(), salt, iterations);
    let client = Sha256::digest(hmac(&salted, b"Client Key"));
    let server = hmac(&salted, b"Server Key");
    let text = |bytes: &[u8]| Base64::encode_to_string(bytes).context("base64");
    Ok(format!(
        "{METHOD}${iterations}:{}${}:{}",
        text(salt)?,
        text(&client)?,
        text(&server)?
    ))
}

/// RFC 5802, 2.2: `Hi`, which is PBKDF2 with one block.
fn salted(password: &[u8], salt: &[u8], iterations: u32) -> Hash {
    let mut last = hmac(password, &[salt, &1u32.to_be_bytes()].concat());
    let mut result = last;
    for _ in 1..iterations {
        last = hmac(password, &last);
        result
            .iter_mut()
            .zip(last)
            .for_each(|(to, from)| *to ^= from);
    }
    result
}

/// RFC 2104.
fn hmac(key: &[u8], text: &[u8]) -> Hash {
    if key.len() > BLOCK {
        return hmac(&Sha256::digest(key), text);
    }
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, 3: the salt, the server's final message and the keys that it follows from.
    #[test]
    fn the_keys_are_those_of_the_rfc() {
        let salt = Base64::decode_to_vec("W22ZaJ0SNY7soEsUEjb6gQ==", None).unwrap();
        let salted = salted(b"pencil", &salt, 4096);
        let signature = hmac(
            &hmac(&salted, b"Server Key"),
            b"n=user,r=rOprNGfwEbeRWgbNEkqO,\
              r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
              c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        );
        assert_eq!(
            Base64::encode_to_string(signature).unwrap(),
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
        );
    }

    #[test]
    fn only_the_password_itself_fits_its_stored_form() {
        let form = stored("a password", b"sixteen bytes ..").unwrap();
        assert!(form.starts_with("SCRAM-SHA-256$4096:"));
        assert!(is_of(&form, "a password") && !is_of(&form, "another"));
        for other in [
            "",
            "md5abc",
            "SCRAM-SHA-256$x:y$z",
            "SCRAM-SHA-256$4096:?$a:b",
        ] {
            assert!(!is_of(other, "a password"), "{other}");
        }
    }
}
