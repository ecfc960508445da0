//! A range of values for all settings of nginx. Each value is rendered in its place and accepted by nginx, or refused
//! by this program.

use super::super::setup::{Setup, text};
use super::{accepted, on_this_machine};
use synapse_workers::state::State;

/// Settings, and the text that nginx's configuration or unit must contain for them.
const SETTINGS: &[(&str, &[&str], &[&str])] = &[
    (
        "{}",
        &[
            "worker_processes auto;", "worker_connections 16384;", "keepalive_timeout 60s;",
            "worker_rlimit_nofile 65536;", "limit_conn synapse_clients 512;", "client_max_body_size 13107200;",
            "client_body_buffer_size 4194304;", "proxy_buffer_size 16384;", "proxy_busy_buffers_size 16384;",
            "proxy_max_temp_file_size 0;", "proxy_read_timeout 10m;", "gzip on;", "gzip_comp_level 1;", "gzip_http_version 1.1;",
            "gzip_min_length 200;", "gzip_buffers 32 4096;", "proxy_buffering on;", "proxy_request_buffering on;",
            "listen 0.0.0.0:8008;", "listen [::]:8008 ipv6only=on;", "proxy_set_header Connection close;",
            "worker_shutdown_timeout 2m;",
        ],
        &["proxy_temp_file_write_size", "map_hash_max_size", "ssl", "unix:;", "http2", "    keepalive "],
    ),
    (
        "{page_size: 8192}",
        &[
            "client_body_buffer_size 8388608;", "proxy_buffer_size 16384;", "proxy_buffers 8 8192;",
            "proxy_busy_buffers_size 16384;", "gzip_buffers 32 8192;",
        ],
        &[],
    ),
    (
        "{proxy_buffering: false, buffering_disabled_multiplier: 16, proxy_request_buffering: false}",
        &["proxy_buffering off;", "proxy_request_buffering off;", "proxy_buffer_size 65536;", "proxy_buffers 17 4096;",
          "proxy_busy_buffers_size 65536;"],
        &[],
    ),
    (
        "{client_body_buffer_size: 65536, proxy_buffer_size: 16384, proxy_busy_buffers_size: 1000000,
          proxy_temp_file_write_size: 32768}",
        &["client_body_buffer_size 65536;", "proxy_buffer_size 16384;", "proxy_buffers 246 4096;",
          "proxy_busy_buffers_size 1000000;", "proxy_temp_file_write_size 32768;"],
        &["proxy_max_temp_file_size"],
    ),
    // Settings that are smaller than the default of the first buffer limit it.
    ("{proxy_busy_buffers_size: 8192}", &["proxy_buffer_size 8192;", "proxy_busy_buffers_size 8192;"], &[]),
    ("{proxy_temp_file_write_size: 8192}", &["proxy_buffer_size 8192;", "proxy_temp_file_write_size 8192;"], &[]),
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
    ("{worker_shutdown_timeout: 30s}\nsockets: {held: false}",
        &["worker_shutdown_timeout 30s;", "listen 0.0.0.0:8008 backlog=4096;", "keepalive 2;", "keepalive 6;", "keepalive_timeout 50s;",
          "proxy_set_header Connection \"\";"],
        &[" backup;"]),
    (
        "{client_keepalive_timeout: 2m, upstream_keepalive_timeout: 30s, upstream_keepalive_multiplier: 4}\nsockets: {held: false}",
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
        "{connections_per_client: 2000}",
        &["limit_conn synapse_clients 2000;"],
        &[],
    ),
    ("{connections_per_client: 0}", &[], &["limit_conn"]),
    ("{}\ntls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key}", &[" ssl", "http2"],
        &["Strict-Transport-Security", "$synapse_redirect"]),
    ("{}\ntls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key, hsts: true, redirect: true}",
        &["add_header Strict-Transport-Security $synapse_hsts always;", "return 308 https://$host$request_uri;"], &[]),
    ("{}\ntls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key, port: 8443, redirect: true}",
        &["return 308 https://$host:8443$request_uri;"], &[]),
    ("{}\ntls: {acme: {}, port: 8443}",
        &["include listen-challenge.conf;", "ListenStream=0.0.0.0:80", "return 308 https://$host:8443$request_uri;"],
        &["$synapse_redirect"]),
    ("{}\nhttp_port: 80\ntls: {acme: {}, redirect: true}",
        &["0 challenge \" 0;", "location ^~ /.well-known/acme-challenge/"], &["listen-challenge.conf"]),
    ("{}\ntls: {hsts: true, redirect: true}", &[], &["Strict-Transport-Security", "$synapse_redirect"]),
    ("{access_log: true}", &["access_log /var/log/synapse-workers/requests/access.log synapse_requests"], &["access_log off;\n    server_tokens"]),
    ("{proxy_protocol_ports: [8009]}",
        &["include listen-proxied.conf;", "real_ip_header proxy_protocol;", "ListenStream=0.0.0.0:8009"], &["$synapse_web_cache"]),
    ("{web_root: '/srv/a \"b'}", &["root \"/srv/a \\\"b\";", "include types.conf;", "$synapse_web_cache"], &["proxy_protocol"]),
    (
        "{listen_unix_socket: /run/matrix/nginx.sock}\nsockets: {held: false}",
        &["listen unix:/run/matrix/nginx.sock;", "set_real_ip_from unix:;", "rm -f /run/matrix/nginx.sock",
          "ReadWritePaths=/var/lib/synapse-workers/nginx /var/log/synapse-workers /run/matrix",
          "d \"/run/matrix\" 0755 synapse-nginx synapse-nginx -"],
        &[],
    ),
];

/// All files of nginx in one text.
fn all(state: &State) -> String {
    [
        "nginx/nginx.conf",
        "nginx/listen.conf",
        "host/etc/systemd/system/synapse-nginx.service",
        "host/etc/systemd/system/synapse-nginx.socket",
        "host/etc/tmpfiles.d/synapse-workers.conf",
    ]
    .into_iter()
    // The socket unit exists with sockets.held only.
    .filter(|path| state.files.contains_key(*path))
    .map(|path| text(state, path))
    .collect()
}

#[test]
fn each_setting_is_rendered_and_accepted_by_nginx() {
    let mut texts = Vec::new();
    for (lines, there, absent) in SETTINGS {
        let setup = Setup::new("synchrotron:3, event_creator").settings(&format!("nginx: {lines}"));
        let state = on_this_machine(setup).state();
        accepted(&state, lines);
        let all = all(&state);
        for part in *there {
            assert!(all.contains(part), "{lines}: no {part}\n{all}");
        }
        for part in *absent {
            assert!(!all.contains(part), "{lines}: {part}\n{all}");
        }
        texts.push(all);
    }
    // Each absent part is spelled as nginx would have it: other settings lead to it.
    for part in SETTINGS.iter().flat_map(|(_, _, absent)| *absent) {
        let found = texts.iter().any(|text| text.contains(part));
        assert!(found, "no settings lead to {part}");
    }
}

/// This check does not run nginx, which would warn if the limit of open files on this machine is lower.
#[test]
fn many_connections_raise_the_limit_of_open_files() {
    let state = Setup::new("")
        .settings("nginx: {worker_connections: 90000}")
        .state();
    assert!(all(&state).contains("LimitNOFILE=180000"));
}

#[test]
fn values_that_nginx_would_refuse_are_refused_with_their_key() {
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
