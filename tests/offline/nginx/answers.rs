//! Responses of nginx: those that it generates, the requests that it passes to Synapse, and Synapse's responses on the
//! way back.

use super::super::setup::Setup;
use super::running::{Answer, Nginx};
use std::fs;

/// The maximum size in bytes of a request line and its headers that Twisted accepts.
const SYNAPSE_HEADER: usize = 16_384;

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\n{headers}Host: x\r\nConnection: close\r\n\r\n").into_bytes()
}

fn matrix(answer: &Answer, status: u16, errcode: &str, case: &str) {
    let head = answer.head();
    assert_eq!(answer.status(), status, "{case}\n{head}\n{}", answer.body());
    for header in [
        "content-type: application/json",
        "access-control-allow-origin: *",
        "access-control-allow-methods: ",
        "access-control-allow-headers: ",
    ] {
        assert_eq!(
            head.matches(header).count(),
            1,
            "{case}: {header}\n{head}\n{}",
            answer.body()
        );
    }
    let body: serde_json::Value = serde_json::from_str(answer.body()).expect(case);
    assert_eq!(body["errcode"], errcode, "{case}");
    assert!(body["error"].is_string(), "{case}");
}

#[test]
fn every_error_of_nginx_is_a_matrix_error() {
    let nginx = Nginx::start(Setup::new("small"));
    let long = "a".repeat(20_000);
    let too_large = "Content-Length: 13107201\r\n";
    let coded = |value: &str| format!("Transfer-Encoding: {value}\r\n");
    for (request, status, errcode) in [
        (b"GARBAGE\r\n\r\n".to_vec(), 400, "M_UNKNOWN"),
        (b"\x16\x03\x01\x00\x00".to_vec(), 400, "M_UNKNOWN"),
        (
            b"GET /_matrix/x HTTP/1.1\r\n\r\n".to_vec(),
            400,
            "M_UNKNOWN",
        ),
        (request("GET /_matrix/%00", ""), 400, "M_UNKNOWN"),
        (
            request("PUT /_matrix/x", &(coded("chunked"))),
            400,
            "M_UNKNOWN",
        ),
        (request("GET /_synapse/admin/x", ""), 403, "M_FORBIDDEN"),
        (request("GET /page.html", ""), 404, "M_UNRECOGNIZED"),
        (
            request("GET /_synapse/workers/error", ""),
            403,
            "M_FORBIDDEN",
        ),
        (
            request("POST /_matrix/media/v3%2Fupload", ""),
            404,
            "M_UNRECOGNIZED",
        ),
        (request("TRACE /_matrix/x", ""), 405, "M_UNRECOGNIZED"),
        (request("PUT /_matrix/x", too_large), 413, "M_TOO_LARGE"),
        (
            request(&format!("GET /_matrix/?{long}"), ""),
            414,
            "M_TOO_LARGE",
        ),
        (
            request("GET /_matrix/x", &format!("X-Long: {long}\r\n")),
            431,
            "M_TOO_LARGE",
        ),
        (
            request("PUT /_matrix/x", &coded("gzip")),
            501,
            "M_UNRECOGNIZED",
        ),
        (request("GET /_matrix/cut", ""), 502, "M_UNKNOWN"),
        // No worker can be reached in this test, and the main process closes the connection too.
        (
            request("GET /_matrix/client/v3/sync?/cut", ""),
            502,
            "M_UNKNOWN",
        ),
        (
            b"GET /_matrix/x HTTP/3.1\r\n\r\n".to_vec(),
            505,
            "M_UNRECOGNIZED",
        ),
    ] {
        let start = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
        let mut request = request;
        if start.contains("chunked") {
            request.extend(b"no length\r\n");
        }
        matrix(&nginx.ask(&request), status, errcode, &start);
    }
}

#[test]
fn answers_of_synapse_pass_unchanged() {
    let nginx = Nginx::start(Setup::new("small"));
    for status in [200, 400, 401, 403, 404, 413, 429, 500, 502, 504] {
        // The main process answers the first request itself, and the second one in place of a worker.
        for path in ["/_matrix/", "/_matrix/client/v3/sync?/"] {
            let answer = nginx.ask(&request(&format!("GET {path}{status}"), ""));
            assert_eq!(answer.status(), status, "{path}");
            assert!(answer.body().starts_with("Synapse, "), "{}", answer.body());
            let head = answer.head();
            assert!(
                head.contains("text/x") && !head.contains("access-control"),
                "{head}"
            );
        }
    }
}

/// Synapse drops the connection of a larger request, or answers it without CORS headers.
#[test]
fn nginx_refuses_headers_larger_than_synapse_accepts() {
    let nginx = Nginx::start(Setup::new(""));
    let (mut largest, mut refused) = (0, 0);
    for size in (10_000..20_000).step_by(250) {
        let header = |length: usize| format!("X-Long: {}\r\n", "a".repeat(length));
        let host = format!(
            "GET /_matrix/x HTTP/1.1\r\n{}Host: {}\r\nConnection: close\r\n\r\n",
            header(size - 300),
            "h".repeat(259)
        );
        for request in [
            request(&format!("GET /_matrix/x?{}", "a".repeat(size)), ""),
            request("GET /_matrix/x", &header(size)),
            request("GET /_matrix/x", &header(490).repeat(size / 500)),
            request("GET /_matrix/x", "X:1\r\n".repeat(size / 5).as_str()),
            // This request fills the first buffer and then the second.
            request(
                &format!("GET /_matrix/x?{}", "a".repeat(950)),
                &header(size - 1_000),
            ),
            host.into_bytes(),
        ] {
            let answer = nginx.ask(&request);
            match answer.status() {
                404 => {
                    let size = answer.body().trim_start_matches("Synapse, ");
                    largest = largest.max(size.parse().unwrap());
                }
                414 | 431 => refused += 1,
                status => panic!("{status} for {size}: {}", answer.body()),
            }
        }
    }
    assert!(
        (13_000..=SYNAPSE_HEADER).contains(&largest),
        "largest {largest}"
    );
    assert!(refused > 100, "{refused}");
    let long_host = format!(
        "GET /_matrix/x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        "h".repeat(8_000)
    );
    matrix(
        &nginx.ask(long_host.as_bytes()),
        400,
        "M_UNKNOWN",
        "long host",
    );
}

#[test]
fn the_access_log_has_the_status_and_the_method_of_the_client() {
    // With a single process, the log lines are in the order of the requests.
    let lines = "metrics: {enabled: true}\nnginx: {worker_processes: 1}";
    let nginx = Nginx::start(Setup::new("small").settings(lines));
    let long = format!("PUT /_matrix/?{}", "a".repeat(20_000));
    for request in [
        request("PUT /_matrix/x", "Content-Length: 13107201\r\n"),
        request("DELETE /page", ""),
        request("TRACE /_matrix/x", ""),
        request(&long, ""),
        b"GARBAGE\r\n\r\n".to_vec(),
        request("POST /_matrix/cut", ""),
    ] {
        nginx.ask(&request);
    }
    let log = nginx.eventually("six lines in the access log", || {
        let log = fs::read_to_string(nginx.path("access.log")).ok()?;
        (log.lines().count() == 6).then_some(log)
    });
    let starts: Vec<String> = log
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        starts,
        [
            "PUT 413",
            "DELETE 404",
            "TRACE 405",
            "PUT 414",
            "- 400",
            "POST 502"
        ],
        "{log}"
    );
}

/// A browser asks before it sends a request to another origin. If it got an error, it would show a network error in place
/// of nginx's own one.
#[test]
fn a_preflight_request_for_a_closed_endpoint_is_answered() {
    let nginx = Nginx::start(Setup::new("small"));
    for path in [
        "/_synapse/admin/v1/x",
        "/_synapse/x",
        "/_synapse/workers/error",
    ] {
        let answer = nginx.ask(&request(&format!("OPTIONS {path}"), ""));
        let head = answer.head();
        assert_eq!(
            (answer.status(), answer.body()),
            (204, ""),
            "{path}\n{head}"
        );
        for header in ["origin: *", "methods: ", "headers: "] {
            let header = format!("access-control-allow-{header}");
            assert_eq!(head.matches(&header).count(), 1, "{path}\n{head}");
        }
        matrix(
            &nginx.ask(&request(&format!("GET {path}"), "")),
            403,
            "M_FORBIDDEN",
            path,
        );
    }
}

#[test]
fn long_cookies_of_synapse_reach_the_client() {
    let nginx = Nginx::start(Setup::new("small"));
    let answer = nginx.ask(&request("GET /_matrix/cookies/302", ""));
    assert_eq!(answer.status(), 302);
    assert!(answer.head().len() > 10_000);
}

/// Whatever nginx logs about a request, it logs with the query, which may contain an access token.
#[test]
fn the_error_log_contains_no_request() {
    let nginx =
        Nginx::start(Setup::new("small").settings("nginx: {client_body_buffer_size: 1024}"));
    let body = "b".repeat(100_000);
    let sized = |size: usize| format!("Content-Length: {size}\r\n");
    let long = "a".repeat(20_000);
    let mut buffered = request("PUT /_matrix/200?access_token=hidden", &sized(body.len()));
    buffered.extend(body.bytes());
    for (request, status) in [
        (buffered, 200),
        (
            request("PUT /_matrix/x?access_token=hidden", &sized(13_107_201)),
            413,
        ),
        (
            request("GET /_synapse/admin/x?access_token=hidden", ""),
            403,
        ),
        (
            request(&format!("GET /_matrix/?access_token=hidden{long}"), ""),
            414,
        ),
        (
            request("GET /_matrix/client/v3/sync?access_token=hidden&/cut", ""),
            502,
        ),
    ] {
        let start = String::from_utf8_lossy(&request[..60]).into_owned();
        assert_eq!(nginx.ask(&request).status(), status, "{start}");
    }
    let log = fs::read_to_string(nginx.path("stderr")).unwrap();
    assert!(!log.contains("hidden") && !log.contains("client:"), "{log}");
}

#[test]
fn nginx_serves_the_contacts_of_the_administrators() {
    let lines = "support:\n  contacts: [admin @a:x.test, security b@x.test @b:x.test]\n  page: https://x.test/help";
    let nginx = Nginx::start(Setup::new("small").settings(lines));
    let answer = nginx.ask(&request("GET /.well-known/matrix/support", ""));
    assert_eq!(answer.status(), 200);
    let head = answer.head();
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    let body: serde_json::Value = serde_json::from_str(answer.body()).unwrap();
    let expected = serde_json::json!({
        "contacts": [
            {"role": "m.role.admin", "matrix_id": "@a:x.test"},
            {"role": "m.role.security", "matrix_id": "@b:x.test", "email_address": "b@x.test"},
        ],
        "support_page": "https://x.test/help",
    });
    assert_eq!(body, expected);
}

#[test]
fn requests_over_plain_http_are_redirected_if_they_come_from_outside() {
    let tls = "tls: {certificate: /etc/ssl/a.pem, key: /etc/ssl/a.key, redirect: true, hsts: true}";
    let setup = Setup::new("small").settings(tls);
    let asked = request("PUT /_matrix/x?a=b", "");
    // A request over the Unix socket comes from a reverse proxy.
    assert_eq!(Nginx::start(setup.clone()).ask(&asked).status(), 404);
    let unknown = |text: String| text.replace("\"unix:\" 1;", "\"unix:\" 0;");
    let answer = Nginx::edited(setup, unknown).ask(&asked);
    assert_eq!(answer.status(), 308);
    let head = answer.head();
    assert!(head.contains("location: https://x/_matrix/x?a=b"), "{head}");
    // Browsers ignore the header over plain HTTP (RFC 6797, 8.1).
    assert!(!head.contains("strict-transport-security"), "{head}");
}
