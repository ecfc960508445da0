//! The proofs for the authority of the certificate, over plain HTTP.

use super::super::setup::Setup;
use super::running::Nginx;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use synapse_workers::state::paths;
use tempfile::TempDir;

const PLACE: &str = "/.well-known/acme-challenge";

/// A directory with a proof, as certbot writes it.
fn webroot() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let place = format!("{}{PLACE}", root.path().display());
    fs::create_dir_all(&place).unwrap();
    fs::write(format!("{place}/token-1_a"), "token-1_a.thumbprint").unwrap();
    root
}

/// An nginx with this directory, to which every client is outside.
fn nginx(settings: &str, root: &TempDir) -> Nginx {
    let root = root.path().display().to_string();
    Nginx::edited(Setup::new("small").settings(settings), |text| {
        text.replace(paths::ACME_WEBROOT, &root)
            .replace("\"unix:\" 1;", "\"unix:\" 0;")
    })
}

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

#[test]
fn a_port_of_its_own_serves_proofs_and_leads_everything_else_to_https() {
    let root = webroot();
    let nginx = nginx("tls: {acme: {}}", &root);
    let answer = nginx.ask_as_authority(&request(&format!("{PLACE}/token-1_a")));
    assert_eq!(
        (answer.status(), answer.body()),
        (200, "token-1_a.thumbprint")
    );
    for (path, status) in [
        (format!("{PLACE}/other"), 404),
        (format!("{PLACE}/"), 403),
        (format!("{PLACE}/../../other"), 308),
        ("/_matrix/client/versions".to_owned(), 308),
    ] {
        let answer = nginx.ask_as_authority(&request(&path));
        assert_eq!(answer.status(), status, "{path}");
    }
    let answer = nginx.ask_as_authority(&request("/_matrix/x?a=b"));
    let head = answer.head();
    assert!(head.contains("location: https://x/_matrix/x?a=b"), "{head}");
    // No other port serves them.
    let answer = nginx.ask(&request(&format!("{PLACE}/token-1_a")));
    assert_eq!(answer.status(), 404);
}

#[test]
fn port_80_for_clients_serves_proofs_without_a_redirect() {
    let root = webroot();
    let nginx = nginx("http_port: 80\ntls: {acme: {}, redirect: true}", &root);
    for (path, status) in [
        (format!("{PLACE}/token-1_a"), 200),
        (format!("{PLACE}/other"), 404),
        (format!("{PLACE}/..%2F..%2F_synapse/admin/v1/x"), 308),
        ("/_matrix/client/versions".to_owned(), 308),
    ] {
        let answer = nginx.ask(&request(&path));
        assert_eq!(answer.status(), status, "{path}");
    }
}
