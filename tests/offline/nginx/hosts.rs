//! nginx with workers on other hosts: whether it accepts the configuration, and what it does while a host is down.

use super::super::cluster::{cluster, with_hosts};
use super::accepted;
use super::running::{Answer, Nginx};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// A port that answers no connection, like a host that is down. It is free again when this value is dropped.
struct Down {
    listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Down {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
        // While the queue of connections is full, the kernel drops the first packet of another one.
        let waiting = (0..10_000).map_while(connect).collect();
        Self {
            listener,
            _waiting: waiting,
        }
    }

    fn address(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }
}

fn ask(nginx: &Nginx, method: &str, path: &str) -> (Answer, Duration) {
    let begun = Instant::now();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    (nginx.ask(request.as_bytes()), begun.elapsed())
}

#[test]
fn nginx_accepts_servers_on_other_hosts() {
    accepted(&cluster().state(), "three hosts");
    let logs = cluster().settings("metrics: {enabled: true}\nnginx: {access_log: true}");
    accepted(&logs.state(), "three hosts, with metrics");
}

#[test]
fn another_process_answers_for_a_host_that_is_down() {
    let down = Down::new();
    let setup = with_hosts(
        "",
        "b: {address: 10.0.0.2, workers: [client_reader, typing, 'synchrotron:2']}",
    );
    // Each process of nginx finds out for itself.
    let setup = setup.settings("nginx: {worker_processes: 1}");
    let nginx = Nginx::edited(setup, |text| {
        let text = text.replace("10.0.0.2:24800", &down.address());
        let text = text.replace("10.0.0.2:23700", &down.address());
        // One of two workers for /sync runs, in the place of main.
        let main = text
            .lines()
            .find(|line| line.contains("/main.sock max_fails"))
            .unwrap();
        let main = main.trim().split(' ').nth(1).unwrap().to_owned();
        text.replace("10.0.0.2:24600", &down.address())
            .replace("10.0.0.2:24601", &main)
    });
    let limit = Duration::from_millis(4_900);
    let (answer, time) = ask(&nginx, "GET", "/_matrix/client/v3/joined_rooms");
    assert!(
        answer.body().starts_with("Synapse, "),
        "{} {}",
        answer.status(),
        answer.body()
    );
    assert!(time < limit, "{time:?}");
    // For two seconds, no request is sent to that host.
    let (answer, time) = ask(&nginx, "GET", "/_matrix/client/v3/joined_rooms");
    assert!(
        answer.body().starts_with("Synapse, ") && time < Duration::from_secs(1),
        "{} {time:?}",
        answer.status()
    );
    // Only its writer can answer.
    let (answer, time) = ask(&nginx, "PUT", "/_matrix/client/v3/rooms/!r/typing/@a:b");
    assert!(
        answer.status() == 504 && answer.body().contains("errcode"),
        "{} {}",
        answer.status(),
        answer.body()
    );
    assert!(time < limit, "{time:?}");
    for user in 0..4 {
        let (answer, time) = ask(
            &nginx,
            "GET",
            &format!("/_matrix/client/v3/sync?access_token=syt_{user}_a"),
        );
        assert!(
            answer.body().starts_with("Synapse, ") && time < Duration::from_millis(2_900),
            "{} {time:?}",
            answer.status()
        );
    }
}
