//! A running nginx in front of a fake Matrix Authentication Service.

use super::super::setup::Setup;
use super::running::Nginx;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

/// A service on loopback that answers each request with its request line and its headers. Returns its port.
fn echo() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let body = head.join("\n");
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// nginx with the service at this path. It trusts the client's address in the requests of its Unix socket.
fn nginx(port: u16, path: &str) -> Nginx {
    Nginx::start(
        Setup::new("small")
            .settings("nginx: {listen_unix_socket: /run/matrix/nginx.sock}")
            .settings(&format!(
                "mas: {{endpoint: \"http://127.0.0.1:{port}{path}\", allowed_addresses: [172.17.0.0/16, \"fd00::2\"]}}"
            )),
    )
}

fn request(line: &str, client: &str) -> Vec<u8> {
    format!(
        "{line} HTTP/1.1\r\nHost: matrix.example.test\r\nX-Forwarded-For: {client}\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

#[test]
fn logins_arrive_with_their_raw_path_and_the_address_of_the_client() {
    let port = echo();
    for prefix in ["", "/auth"] {
        let nginx = nginx(port, &format!("{prefix}/"));
        for path in [
            "/_matrix/client/v3/login",
            "/_matrix/client/r0/logout/all",
            "/_matrix/client/v1/refresh?a=%2F",
            "/_matrix/client/v3/login/sso/redirect/a%2Fb?redirectUrl=x%3A",
        ] {
            let answer = nginx.ask(&request(&format!("POST {path}"), "198.51.100.7"));
            let body = answer.body();
            assert_eq!(answer.status(), 200, "{path}: {body}");
            let line = format!("POST {prefix}{path} HTTP/1.1\n");
            assert!(body.starts_with(&line), "{line}: {body}");
            assert!(
                body.contains(&format!("\nHost: 127.0.0.1:{port}\n")),
                "{body}"
            );
            assert!(body.contains("\nX-Forwarded-For: 198.51.100.7\n"), "{body}");
        }
        // The others reach Synapse, whose stand-in answers with the status in the path.
        let answer = nginx.ask(&request(
            "GET /_matrix/client/v3/thirdparty/200",
            "198.51.100.7",
        ));
        assert!(answer.body().starts_with("Synapse"), "{}", answer.body());
    }
}

#[test]
fn the_api_of_synapse_for_the_service_is_open_to_listed_addresses_only() {
    let nginx = nginx(echo(), "/");
    for (path, client, status) in [
        ("/_synapse/mas/200", "172.17.0.2", 200),
        ("/_synapse/mas/200", "fd00::2", 200),
        ("/_synapse/mas/200", "172.18.0.2", 403),
        ("/_synapse/mas/200", "fd00::3", 403),
        ("/_synapse/mas/200", "198.51.100.7", 403),
        // A proxy on this host forwards requests of everybody.
        ("/_synapse/mas/200", "127.0.0.1", 403),
        // These addresses may use nothing else.
        ("/_synapse/admin/v1/200", "172.17.0.2", 403),
        ("/_synapse/replication/200", "172.17.0.2", 404),
        (
            "/_synapse/mas/..%2F..%2F_synapse/admin/403",
            "198.51.100.7",
            403,
        ),
    ] {
        let answer = nginx.ask(&request(&format!("GET {path}"), client));
        assert_eq!(
            answer.status(),
            status,
            "{path} from {client}: {}",
            answer.body()
        );
    }
}

#[test]
fn a_service_that_is_down_is_an_error_of_matrix_and_nothing_else_stops() {
    let unused = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let nginx = nginx(port, "/");
    let answer = nginx.ask(&request("GET /_matrix/client/v3/login", "198.51.100.7"));
    assert_eq!(answer.status(), 502);
    assert!(answer.body().contains("errcode"), "{}", answer.body());
    assert!(
        answer.head().contains("access-control-allow-origin: *"),
        "{}",
        answer.head()
    );
    let answer = nginx.ask(&request(
        "GET /_matrix/client/v3/thirdparty/200",
        "198.51.100.7",
    ));
    assert_eq!(answer.status(), 200);
}
