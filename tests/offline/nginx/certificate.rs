//! Certificate and key: nginx checks whether they match before they are installed.

use super::super::validators::{run, shown};
use super::certificate;
use std::fs;
use std::process::Command;
use synapse_workers::host::certificate::Pair;

#[test]
fn only_a_certificate_with_its_key_is_accepted() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["one", "two"] {
        certificate(&at(&format!("{name}.key")), &at(&format!("{name}.pem")));
    }
    let output = run(Command::new("openssl")
        .args(["pkey", "-aes256", "-passout", "pass:secret", "-in"])
        .arg(at("one.key"))
        .arg("-out")
        .arg(at("locked.key")));
    assert!(output.status.success(), "{}", shown(&output));
    fs::write(at("empty"), "").unwrap();
    let fitting = |certificate: &str, key: &str| {
        let pair = Pair {
            certificate: at(certificate),
            key: at(key),
        };
        pair.validated().map_err(|error| format!("{error:#}"))
    };
    let pair = String::from_utf8(fitting("one.pem", "one.key").unwrap()).unwrap();
    assert!(
        pair.find("BEGIN CERTIFICATE") < pair.find("PRIVATE KEY"),
        "{pair}"
    );
    for (certificate, key, message) in [
        ("one.pem", "two.key", "key values mismatch"),
        ("one.pem", "locked.key", "is encrypted"),
        ("one.pem", "none.key", "tls.key: "),
        ("none.pem", "one.key", "tls.certificate: "),
        ("empty", "one.key", "do not match"),
        ("one.key", "one.key", "do not match"),
    ] {
        let error = fitting(certificate, key).unwrap_err();
        assert!(error.contains(message), "{certificate} {key}: {error}");
    }
}
