//! What is rendered for nginx, before nginx itself, over a spread of all its settings; and where each value belongs.

use super::judges::{program, run, shown};
use super::setup::{SPECS, Setup, text};
use std::fs;
use std::path::Path;
use std::process::Command;
use synapse_workers::paths;
use synapse_workers::plan::state::State;

/// The nginx of this machine decides how HTTP/2 is switched on.
pub fn on_this_machine(mut setup: Setup) -> Setup {
    let text = shown(&run(program("nginx").arg("-v")));
    let version = text.trim().split('/').nth(1).unwrap();
    let mut numbers = version
        .split(['.', ' '])
        .map(|number| number.parse().unwrap());
    setup.facts.nginx = (numbers.next().unwrap(), numbers.next().unwrap());
    setup
}

/// A key and a certificate for it, signed by itself.
pub fn certificate(key: &Path, certificate: &Path) {
    let output = run(Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ])
        .args(["-subj", "/CN=example.test", "-days", "2", "-keyout"])
        .arg(key)
        .arg("-out")
        .arg(certificate));
    assert!(output.status.success(), "{}", shown(&output));
}

/// Fails unless `nginx -t` takes the configuration without a word.
pub fn accepted(state: &State, case: &str) {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let place = directory.path().display().to_string();
    certificate(&at("key.pem"), &at("certificate.pem"));
    let pair = ["certificate.pem", "key.pem"].map(|name| fs::read_to_string(at(name)).unwrap());
    fs::write(at("pair.pem"), pair.concat()).unwrap();
    for (path, file) in &state.files {
        let Some(name) = path.strip_prefix("nginx/") else {
            continue;
        };
        let text = String::from_utf8(file.contents.clone()).unwrap();
        let text = text
            .replace(
                "/var/lib/synapse-workers/tls/synapse-nginx.pem",
                &format!("{place}/pair.pem"),
            )
            .replace(paths::ACCESS_LOG, &format!("{place}/access.log"))
            .replace("/run/matrix/", &format!("{place}/"));
        fs::write(at(name), text).unwrap();
    }
    let output = run(program("nginx")
        .args([
            "-t",
            "-e",
            "stderr",
            "-p",
            &format!("{place}/"),
            "-c",
            "nginx.conf",
        ])
        .args(["-g", &format!("pid {place}/nginx.pid;")]));
    let text = shown(&output);
    assert!(
        output.status.success() && !text.contains("[warn]"),
        "{case}\n{text}"
    );
}

#[test]
fn nginx_accepts_every_topology() {
    let longest = "a-name-of-48-characters-is-the-longest-there-is1=synchrotron:100";
    for spec in SPECS.iter().chain(&[longest]) {
        accepted(&Setup::new(spec).state(), spec);
    }
}

/// Lines of settings, and what has to be in the configuration or unit of nginx for them.
const SETTINGS: &[(&str, &[&str], &[&str])] = &[
    (
        "{}",
        &[
            "worker_processes auto;", "worker_connections 2048;", "keepalive_timeout 60s;",
            "client_body_buffer_size 4194304;", "proxy_buffer_size 4096;", "proxy_busy_buffers_size 8192;",
            "proxy_temp_file_write_size 8192;", "gzip on;", "gzip_comp_level 1;", "gzip_http_version 1.1;",
            "gzip_min_length 200;", "gzip_buffers 32 4096;", "proxy_buffering on;", "proxy_request_buffering on;",
            "keepalive 2;", "keepalive 6;", "keepalive_timeout 50s;", "listen 0.0.0.0:8008;",
            "listen [::]:8008 ipv6only=on;", "proxy_set_header Connection \"\";",
        ],
        &["map_hash_max_size", "ssl", "unix:;", "http2"],
    ),
    (
        "{page_size: 8192}",
        &[
            "client_body_buffer_size 8388608;", "proxy_buffer_size 8192;", "proxy_buffers 8 8192;",
            "proxy_busy_buffers_size 16384;", "proxy_temp_file_write_size 16384;", "gzip_buffers 32 8192;",
        ],
        &[],
    ),
    (
        "{proxy_buffering: false, buffering_disabled_multiplier: 16, proxy_request_buffering: false}",
        &["proxy_buffering off;", "proxy_request_buffering off;", "proxy_buffer_size 65536;", "proxy_buffers 17 4096;",
          "proxy_busy_buffers_size 65536;", "proxy_temp_file_write_size 65536;"],
        &[],
    ),
    (
        "{client_body_buffer_size: 65536, proxy_buffer_size: 16384, proxy_busy_buffers_size: 1000000,
          proxy_temp_file_write_size: 32768}",
        &["client_body_buffer_size 65536;", "proxy_buffer_size 16384;", "proxy_buffers 246 4096;",
          "proxy_busy_buffers_size 1000000;", "proxy_temp_file_write_size 32768;"],
        &[],
    ),
    (
        "{page_size: 1048576, buffering_disabled_multiplier: 1000, proxy_buffering: false}",
        &["proxy_buffer_size 1048576000;"],
        &[],
    ),
    ("{page_size: 1024, proxy_busy_buffers_size: 1073741824}", &["proxy_buffers 1048577 1024;"], &[]),
    (
        "{client_keepalive: false, upstream_keepalive: false}",
        &["keepalive_timeout 0s;", "proxy_set_header Connection close;"],
        &["keepalive 2;", "keepalive_timeout 50s;"],
    ),
    (
        "{client_keepalive_timeout: 2m, upstream_keepalive_timeout: 30s, upstream_keepalive_multiplier: 4}",
        &["keepalive_timeout 120s;", "keepalive 8;", "keepalive 24;", "keepalive_timeout 30s;"],
        &[],
    ),
    (
        "{gzip_comp_level: 9, gzip_http_version: '1.0', gzip_min_length: 1400, map_hash_max_size: 512}",
        &["gzip_comp_level 9;", "gzip_http_version 1.0;", "gzip_min_length 1400;", "map_hash_max_size 512;"],
        &[],
    ),
    (
        "{worker_processes: 3, worker_connections: 9000, proxy_read_timeout: 45s}",
        &["worker_processes 3;", "worker_connections 9000;", "proxy_read_timeout 45s;", "LimitNOFILE=65536"],
        &[],
    ),
    (
        "{listen_unix_socket: /run/matrix/nginx.sock}",
        &["listen unix:/run/matrix/nginx.sock;", "set_real_ip_from unix:;", "rm -f /run/matrix/nginx.sock",
          "ReadWritePaths=/var/lib/synapse-workers/nginx /var/log/synapse-workers /run/matrix",
          "d \"/run/matrix\" 0755 synapse-nginx synapse-nginx -"],
        &[],
    ),
];

/// Everything of nginx in one text.
fn all(state: &State) -> String {
    [
        "nginx/nginx.conf",
        "nginx/listen.conf",
        "host/etc/systemd/system/synapse-nginx.service",
        "host/etc/tmpfiles.d/synapse-workers.conf",
    ]
    .map(|path| text(state, path))
    .concat()
}

#[test]
fn each_setting_is_where_it_belongs_and_nginx_takes_it() {
    for (lines, there, absent) in SETTINGS {
        let setup = Setup::new("synchrotron:3, event_creator").settings(&format!("nginx: {lines}"));
        let state = setup.state();
        accepted(&state, lines);
        let all = all(&state);
        for part in *there {
            assert!(all.contains(part), "{lines}: no {part}\n{all}");
        }
        for part in *absent {
            assert!(!all.contains(part), "{lines}: {part}\n{all}");
        }
    }
}

/// Not for nginx on this machine, which may have fewer files to open and would say so.
#[test]
fn many_connections_have_files_for_them() {
    let state = Setup::new("")
        .settings("nginx: {worker_connections: 90000}")
        .state();
    assert!(all(&state).contains("LimitNOFILE=180000"));
}

#[test]
fn the_proxy_has_every_way_in_that_is_asked_for() {
    let tls = "tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key, port: 8443}\nhttp_federation_port: 8018";
    let setup = on_this_machine(Setup::new("small").settings(tls));
    accepted(&setup.state(), tls);
    for (version, options, http2) in [((1, 22), " ssl http2", false), ((1, 26), " ssl", true)] {
        let mut setup = setup.clone();
        setup.facts.nginx = version;
        let state = setup.state();
        let listen = text(&state, "nginx/listen.conf");
        for part in [
            format!("listen 0.0.0.0:8443{options};"),
            format!("listen 0.0.0.0:8448{options};"),
            "listen 0.0.0.0:8018;".to_owned(),
        ] {
            assert!(listen.contains(&part), "{part}\n{listen}");
        }
        assert_eq!(listen.contains("http2 on;"), http2, "{listen}");
    }
    let state = setup.state();
    assert!(state.units.contains("synapse-certificate.path"));
    let path = text(&state, "host/etc/systemd/system/synapse-certificate.path");
    let watched: Vec<&str> = path
        .lines()
        .filter_map(|line| line.strip_prefix("PathChanged="))
        .collect();
    assert_eq!(watched, ["/etc/ssl"]);
    let service = text(
        &state,
        "host/etc/systemd/system/synapse-certificate.service",
    );
    assert!(
        service
            .contains("--certificate /etc/ssl/a.pem --key /etc/ssl/a.key synapse-nginx.service\n"),
        "{service}"
    );
    let keys = state
        .files
        .values()
        .filter(|file| String::from_utf8_lossy(&file.contents).contains("PRIVATE KEY"));
    assert_eq!(keys.count(), 0, "a generation holds no key");
}

#[test]
fn other_servers_are_told_where_this_one_is() {
    for (url, place) in [
        ("https://matrix.example.test", "matrix.example.test:443"),
        (
            "https://matrix.example.test:8443/",
            "matrix.example.test:8443",
        ),
        (
            "https://matrix.example.test/path",
            "matrix.example.test:443",
        ),
        ("https://[2001:db8::12]/", "[2001:db8::12]:443"),
    ] {
        let setup = |serve: bool| {
            let lines = format!("public_baseurl: {url}\nserve_server_wellknown: {serve}");
            Setup::new("").settings(&lines).state()
        };
        let told = format!("return 200 '{{\"m.server\":\"{place}\"}}';");
        assert!(
            text(&setup(true), "nginx/nginx.conf").contains(&told),
            "{told}"
        );
        assert!(!text(&setup(false), "nginx/nginx.conf").contains("m.server"));
        accepted(&setup(true), url);
    }
}

/// It exits with 0 whatever is wrong, and says so.
#[test]
fn logrotate_finds_nothing_wrong_and_rotates_what_is_large() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let state = Setup::new("").settings("metrics: {enabled: true}").state();
    let log = at("access.log").display().to_string();
    let pid = at("nginx.pid").display().to_string();
    let configuration = text(&state, "logrotate/access.conf")
        .replace(paths::ACCESS_LOG, &log)
        .replace("/run/synapse-nginx/nginx.pid", &pid);
    fs::write(at("access.conf"), configuration).unwrap();
    let mut nginx = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(&pid, nginx.id().to_string()).unwrap();
    let rotate = |large: bool| {
        let file = fs::File::create(&log).unwrap();
        file.set_len(if large { 70 << 20 } else { 1 << 20 })
            .unwrap();
        let output = run(program("logrotate")
            .arg("--verbose")
            .arg("--state")
            .args([at("state"), at("access.conf")]));
        let text = shown(&output);
        assert!(
            output.status.success() && !text.contains("error:") && !text.contains("warning:"),
            "{text}"
        );
        at("access.log.1").exists()
    };
    assert!(!rotate(false));
    assert!(rotate(true));
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "a new one");
    // USR1 is what nginx opens its logs anew on, and what ends a program that does not know it.
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(nginx.wait().unwrap().signal(), Some(10));
}

#[test]
fn the_access_log_is_rotated_unless_that_is_left_to_the_administrator() {
    for (lines, rotated) in [
        ("metrics: {enabled: true}", true),
        (
            "metrics: {enabled: true}\nnginx: {disable_logrotate: true}",
            false,
        ),
        ("metrics: {enabled: false}", false),
    ] {
        let state = Setup::new("").settings(lines).state();
        assert_eq!(
            state.units.contains("synapse-logrotate.timer"),
            rotated,
            "{lines}"
        );
        assert_eq!(
            state.files.contains_key("logrotate/access.conf"),
            rotated,
            "{lines}"
        );
    }
}

#[test]
fn sizes_and_places_that_nginx_would_refuse_are_refused_with_their_key() {
    for (lines, key) in [
        (
            "proxy_busy_buffers_size: 2048",
            "nginx.proxy_busy_buffers_size",
        ),
        (
            "proxy_temp_file_write_size: 4095",
            "nginx.proxy_temp_file_write_size",
        ),
        (
            "proxy_buffer_size: 65536, proxy_busy_buffers_size: 8192",
            "nginx.proxy_busy_buffers_size",
        ),
        (
            "page_size: 65536, proxy_temp_file_write_size: 8192",
            "nginx.proxy_temp_file_write_size",
        ),
        (
            "listen_unix_socket: /tmp/x/nginx.sock",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: /run/nginx.sock",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: /srv/nginx.sock",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: /home/x/y/nginx.sock",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: /run/synapse-workers/public/nginx.sock",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: '/run/a;b/nginx.sock'",
            "nginx.listen_unix_socket",
        ),
        (
            "listen_unix_socket: /run/matrix/",
            "nginx.listen_unix_socket",
        ),
    ] {
        let error = Setup::new("")
            .settings(&format!("nginx: {{{lines}}}"))
            .try_settings()
            .expect_err(lines);
        assert!(error.contains(key), "{lines}: {error}");
    }
    let long = format!("nginx: {{listen_unix_socket: /run/{}/s}}", "x".repeat(110));
    assert!(Setup::new("").settings(&long).try_settings().is_err());
}

#[test]
fn the_admin_api_is_closed_unless_the_settings_open_it() {
    for (open, admin) in [(false, "host"), (true, "public")] {
        let state = Setup::new("")
            .settings(&format!("open_admin_api: {open}"))
            .state();
        let text = text(&state, "nginx/nginx.conf");
        let first = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("\"~^/_synapse/admin/\""));
        let rest = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with("\"~^/_synapse/\""));
        assert_eq!(rest, Some("\"~^/_synapse/\" host;"));
        assert_eq!(
            first,
            (admin == "public").then_some("\"~^/_synapse/admin/\" public;"),
            "{text}"
        );
    }
}
