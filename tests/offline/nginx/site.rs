//! What nginx serves besides Matrix: the administrator's own locations and a web client.

use super::super::sandbox::values;
use super::super::setup::Setup;
use super::accepted;
use super::running::{Answer, Nginx};
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use synapse_workers::deployment::locations::NAMED;
use synapse_workers::state::units;
use tempfile::TempDir;

fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").into_bytes()
}

fn get(nginx: &Nginx, path: &str) -> Answer {
    nginx.ask(&request(path))
}

/// A service behind a location of the administrator: the fake main process plays it.
const OWN: &str = "location /service/ { proxy_pass http://unix:/run/synapse-workers/public/main.sock:/; }\n\
    location = /robots.txt { default_type text/plain; return 200 robots; }\n\
    location ~ \\.(?:json|txt)$ { return 200 shadowed; }\n";

#[test]
fn own_locations_are_served_and_take_no_path_of_matrix() {
    let setup = Setup::new("small");
    let with = Nginx::start(setup.clone().locations("/etc/own.conf", OWN));
    let without = Nginx::start(setup);
    let robots = get(&with, "/robots.txt");
    assert_eq!((robots.status(), robots.body()), (200, "robots"));
    assert!(robots.head().contains("content-type: text/plain"));
    assert_eq!(get(&with, "/service/x/201").status(), 201);
    assert_eq!(get(&with, "/service/../robots.txt").body(), "robots");
    assert_eq!(get(&with, "/a.json").body(), "shadowed");
    // Paths of Matrix are answered as without the locations, although some of these would match.
    for path in [
        "/",
        "/health",
        "/_matrix/200",
        "/_matrix/x/a.json",
        "/_matrix/client/versions",
        "/_matrix/media/v3/upload/x.json",
        "/.well-known/matrix/support.json",
        "/_synapse/client/x.txt",
        "/_synapse/admin/v1/200",
        "/_synapse/replication/x.json",
        "/_synapse/workers/configuration",
        // The raw path decides. Synapse matches it too.
        "/service/..%2F_matrix/200",
        "/service/../_synapse/admin/200",
        "/x/..%2F_synapse/replication/200",
        "/%5Fmatrix/200",
        "//_matrix/200",
        "/other",
    ] {
        let (with, without) = (get(&with, path), get(&without, path));
        assert_eq!(with.status(), without.status(), "{path}\n{}", with.body());
        assert_eq!(with.body(), without.body(), "{path}");
        assert_eq!(
            with.head().contains("content-type: application/json"),
            without.head().contains("content-type: application/json"),
            "{path}"
        );
    }
}

#[test]
fn every_named_location_of_nginx_is_reserved() {
    // The templates with named locations of this server; the last one exists with the user lookup only.
    let templates = [
        include_str!("../../../templates/nginx/nginx.conf"),
        include_str!("../../../templates/nginx/user_lookup.conf"),
    ];
    let names = templates
        .iter()
        .flat_map(|template| template.lines())
        .filter_map(|line| line.trim().strip_prefix("location @"));
    let names: Vec<String> = names
        .filter_map(|rest| Some(format!("@{}", rest.split(' ').next()?)))
        .collect();
    assert!(names.len() >= NAMED.len());
    for name in names {
        assert!(NAMED.contains(&name.as_str()), "{name} is missing in NAMED");
    }
}

#[test]
fn nginx_may_connect_only_to_where_its_locations_lead() {
    const ALL: &str = "AF_UNIX AF_INET AF_INET6";
    for (target, families, own_network, denied, allowed) in [
        (
            "http://unix:/run/a.sock",
            "AF_UNIX",
            &["yes"][..],
            &["any"][..],
            &[][..],
        ),
        ("http://127.0.0.1:8080", ALL, &[], &["any"], &["localhost"]),
        ("https://jitsi.example.org", ALL, &[], &[], &[]),
    ] {
        let own = format!("location /own/ {{ proxy_pass {target}; }}");
        let state = Setup::new("small").locations("/etc/own.conf", &own).state();
        let seen = |key| values(&state, units::NGINX, key);
        assert_eq!(seen("RestrictAddressFamilies"), [families], "{target}");
        assert_eq!(seen("PrivateNetwork"), own_network, "{target}");
        assert_eq!(seen("IPAddressDeny"), denied, "{target}");
        assert_eq!(seen("IPAddressAllow"), allowed, "{target}");
        assert_eq!(seen("AmbientCapabilities"), [""; 0], "{target}");
    }
}

/// A web client as the archives of Element Web contain it, and beside it a file that is not part of it.
fn web_client() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(place.path(), 0o755);
    let root = place.path().join("element web");
    for (name, contents) in [
        ("element web/index.html", "<html>"),
        ("element web/config.json", "{}"),
        ("element web/version", "1.11"),
        ("element web/.git/config", "hidden"),
        ("element web/empty/.keep", ""),
        ("element web/bundles/0a1b2c/bundle.js", "js"),
        ("element web/bundles/0a1b2c/olm.wasm", "wasm"),
        ("outside.txt", "outside"),
        ("config.json", "{\"linked\": true}"),
    ] {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
    }
    symlink("../config.json", root.join("config.linked.json")).unwrap();
    // A link of another account than that of the file: as root, the link gets another owner.
    symlink("/etc/passwd", root.join("passwd.txt")).unwrap();
    if nix::unistd::geteuid().is_root() {
        lchown(root.join("passwd.txt"), Some(65_534), None).unwrap();
    }
    place
}

fn serving(place: &TempDir) -> Setup {
    let root = place.path().join("element web");
    Setup::new("small").settings(&format!("nginx: {{web_root: '{}'}}", root.display()))
}

#[test]
fn a_web_client_is_served_with_the_right_types_and_caching() {
    let place = web_client();
    let nginx = Nginx::start(serving(&place));
    let hashed = "public, max-age=31536000, immutable";
    for (path, body, kind, cache) in [
        ("/", "<html>", "text/html", "no-cache"),
        ("/index.html", "<html>", "text/html", "no-cache"),
        (
            "/config.json?cachebuster=1",
            "{}",
            "application/json",
            "no-cache",
        ),
        (
            "/config.linked.json",
            "{\"linked\": true}",
            "application/json",
            "no-cache",
        ),
        ("/version", "1.11", "application/octet-stream", "no-cache"),
        (
            "/bundles/0a1b2c/bundle.js",
            "js",
            "application/javascript",
            hashed,
        ),
        (
            "/bundles/0a1b2c/olm.wasm",
            "wasm",
            "application/wasm",
            hashed,
        ),
    ] {
        let answer = get(&nginx, path);
        let head = answer.head();
        assert_eq!(
            (answer.status(), answer.body()),
            (200, body),
            "{path}\n{head}"
        );
        for header in [
            format!("content-type: {kind}\r\n"),
            format!("cache-control: {cache}\r\n"),
            "content-security-policy: frame-ancestors 'self'\r\n".to_owned(),
            "x-frame-options: sameorigin\r\n".to_owned(),
            "x-content-type-options: nosniff".to_owned(),
        ] {
            assert_eq!(
                format!("{head}\r\n").matches(&header).count(),
                1,
                "{path}: {header}\n{head}"
            );
        }
    }
}

#[test]
fn a_web_client_shows_nothing_else_and_takes_no_path_of_matrix() {
    let place = web_client();
    let nginx = Nginx::start(serving(&place));
    for path in [
        "/missing",
        "/bundles/",
        "/empty/",
        "/empty",
        "/.git/config",
        "/..%2Foutside.txt",
        "/bundles/%2E%2E/%2E%2E/outside.txt",
        "/passwd.txt",
        "/x/..%2F_matrix/200",
        "/%5Fmatrix/200",
        "/_matrix",
    ] {
        let answer = get(&nginx, path);
        let refused = [400, 404].contains(&answer.status());
        assert!(refused, "{path}: {}\n{}", answer.status(), answer.body());
        assert!(
            answer.head().contains("content-type: application/json"),
            "{path}"
        );
    }
    assert_eq!(get(&nginx, "/_matrix/201").status(), 201);
    assert_eq!(get(&nginx, "/_synapse/client/201").status(), 201);
    assert_eq!(get(&nginx, "/_synapse/admin/x").status(), 403);
    assert_eq!(
        get(&nginx, "/health").body().split(',').next(),
        Some("Synapse")
    );
    // Own locations are served beside the web client.
    let own = "location /service/ { return 200 own; }";
    let setup = serving(&place).locations("/etc/own.conf", own);
    accepted(&setup.state(), "both");
    let nginx = Nginx::start(setup);
    assert_eq!(get(&nginx, "/service/x").body(), "own");
    assert_eq!(get(&nginx, "/").body(), "<html>");
}
