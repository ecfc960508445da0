//! Balancing by user with tokens that do not contain the user: nginx asks whoami, here a stub, and the request passes
//! whatever the answer is.

use super::super::setup::{Setup, text};
use super::accepted;
use super::running::{Answer, Nginx};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const MAS: &str = "mas: {endpoint: 'http://127.0.0.1:8090/'}";
const SYNC: &str = "GET /_matrix/client/v3/sync";
const PROCESSES: [&str; 3] = ["synchrotron1", "synchrotron2", "synchrotron3"];

/// How the stub of whoami answers.
#[derive(Clone, Copy, Debug)]
enum Whoami {
    Names,
    Status(u16),
    /// 200, from a process without the launcher.
    NoHeader,
    Cut,
    Late,
}

/// nginx in front of three processes that answer with their names, and one that answers whoami.
struct Servers {
    nginx: Nginx,
    whoami: Arc<Mutex<Whoami>>,
    /// The heads of the requests that whoami received.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Servers {
    fn start() -> Self {
        let servers = Self::without_whoami();
        let (mode, asked) = (servers.whoami.clone(), servers.asked.clone());
        listen(&servers.nginx, "client_reader1", move |head, _| {
            asked.lock().unwrap().push(head.to_owned());
            let mode = *mode.lock().unwrap();
            whoami(mode, head)
        });
        servers
    }

    fn without_whoami() -> Self {
        let setup = Setup::new("synchrotron:3, client_reader");
        let nginx = Nginx::start(setup.settings(MAS));
        for name in PROCESSES {
            listen(&nginx, name, move |_, body| {
                Some(response(200, "", &format!("{name} {body}")))
            });
        }
        Self {
            nginx,
            whoami: Arc::new(Mutex::new(Whoami::Names)),
            asked: Arc::default(),
        }
    }

    fn answer_with(&self, mode: Whoami) {
        *self.whoami.lock().unwrap() = mode;
    }

    /// The process that answers a request with this token.
    fn process(&self, token: &str) -> String {
        served(&self.nginx.ask(&request(SYNC, &bearer(token))))
    }

    /// How often whoami was asked about a token.
    fn lookups(&self, token: &str) -> usize {
        let line = format!("Authorization: Bearer {token}\n");
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|head| head.contains(&line)).count()
    }
}

fn listen(
    nginx: &Nginx,
    name: &str,
    answer: impl Fn(&str, &str) -> Option<String> + Send + Sync + 'static,
) {
    let path = nginx.path(&format!("{name}.sock"));
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || serve(&stream.unwrap(), answer.as_ref()));
        }
    });
}

fn serve(mut stream: &UnixStream, answer: &dyn Fn(&str, &str) -> Option<String>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let lines = reader.by_ref().lines().map_while(Result::ok);
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let head = format!("{}\n", head.join("\n"));
    let answer = answer(&head, std::str::from_utf8(&body).unwrap())?;
    stream.write_all(answer.as_bytes()).ok()
}

fn response(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Answers as Synapse does behind the launcher. The user is the start of the token's random part.
fn whoami(mode: Whoami, head: &str) -> Option<String> {
    let cache = "Cache-Control: no-cache, no-store, must-revalidate\r\n";
    let token = head.split("Authorization: Bearer mat_").nth(1)?;
    let named = format!("{cache}X-Synapse-Workers-User: {}\r\n", &token[..4]);
    match mode {
        Whoami::Names => Some(response(200, &named, "{}")),
        Whoami::Status(status) => Some(response(status, cache, "{}")),
        Whoami::NoHeader => Some(response(200, cache, "{}")),
        Whoami::Cut => None,
        Whoami::Late => {
            // nginx closes the connection first.
            thread::sleep(Duration::from_secs(30));
            None
        }
    }
}

/// A token of a user whose name has four characters.
fn token(user: &str, number: usize) -> String {
    format!("mat_{user}{number:012}SecretHalf0000_0aB9zZ")
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\nHost: example.test\r\n{headers}Connection: close\r\n\r\n")
        .into_bytes()
}

/// The name of the process that served a request.
fn served(answer: &Answer) -> String {
    assert_eq!(answer.status(), 200, "{}\n{}", answer.head(), answer.body());
    let name = answer.body().split(' ').next().unwrap().to_owned();
    assert!(PROCESSES.contains(&name.as_str()), "{name}");
    name
}

#[test]
fn a_user_stays_on_one_process_with_every_token() {
    let servers = Servers::start();
    for user in ["anna", "bert", "cleo", "dora"] {
        let processes: BTreeSet<String> = (0..100)
            .map(|number| servers.process(&token(user, number)))
            .collect();
        assert_eq!(processes.len(), 1, "{user}: {processes:?}");
        let process = processes.first().unwrap();
        // A token from before the Matrix Authentication Service, which contains the user.
        assert_eq!(servers.process(&format!("syt_{user}_abc_def")), *process);
        let query = format!("{SYNC}?access_token={}&since=s1", token(user, 100));
        assert_eq!(served(&servers.nginx.ask(&request(&query, ""))), *process);
    }
    assert_eq!(servers.asked.lock().unwrap().len(), 4 * 101);
    let users = (0..60).map(|number| servers.process(&token(&format!("u{number:03}"), 0)));
    assert_eq!(
        users.collect::<BTreeSet<_>>().len(),
        PROCESSES.len(),
        "users are spread"
    );
}

#[test]
fn two_thousand_new_tokens_at_once_are_asked_for_once_each() {
    let servers = Servers::start();
    thread::scope(|scope| {
        for thread in 0..40 {
            let servers = &servers;
            scope.spawn(move || {
                for number in 0..50 {
                    // The second request finds the name in the cache.
                    let token = token(&format!("u{:03}", number % 7), thread * 50 + number);
                    assert_eq!(servers.process(&token), servers.process(&token));
                }
            });
        }
    });
    let mut lookups: BTreeMap<String, usize> = BTreeMap::new();
    for head in servers.asked.lock().unwrap().iter() {
        *lookups.entry(head.clone()).or_default() += 1;
    }
    assert_eq!(lookups.len(), 2_000);
    assert!(lookups.values().all(|count| *count == 1));
}

#[test]
fn simultaneous_requests_with_a_new_token_ask_once() {
    let servers = Servers::start();
    let token = token("anna", 1);
    let processes: BTreeSet<String> = thread::scope(|scope| {
        let requests: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| servers.process(&token)))
            .collect();
        requests
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect()
    });
    assert_eq!((processes.len(), servers.lookups(&token)), (1, 1));
}

#[test]
fn requests_pass_if_whoami_names_no_user() {
    let servers = Servers::start();
    let statuses = [204, 302, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504];
    let modes = statuses.map(Whoami::Status).into_iter();
    let modes = modes.chain([Whoami::NoHeader, Whoami::Cut, Whoami::Late]);
    for (number, mode) in modes.enumerate() {
        servers.answer_with(mode);
        let token = token("anna", number);
        let begun = Instant::now();
        let processes: BTreeSet<String> = (0..3).map(|_| servers.process(&token)).collect();
        assert_eq!(processes.len(), 1, "{mode:?}: {processes:?}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{mode:?}: {:?}",
            begun.elapsed()
        );
        // A request that was cut is repeated once.
        let lookups = match mode {
            Whoami::Cut => 2,
            _ => 1,
        };
        assert_eq!(
            servers.lookups(&token),
            lookups,
            "{mode:?}: a failure counts for some seconds"
        );
    }
    // A failure is forgotten, here the last one.
    servers.answer_with(Whoami::Names);
    let token = token("anna", statuses.len() + 2);
    servers.nginx.eventually("nginx asks again", || {
        servers.process(&token);
        (servers.lookups(&token) == 2).then_some(())
    });
    assert_eq!(servers.process(&token), servers.process("syt_anna_abc_def"));
}

#[test]
fn requests_pass_if_whoami_cannot_be_reached() {
    let servers = Servers::without_whoami();
    let processes: BTreeSet<String> = (0..60)
        .map(|number| servers.process(&token("anna", number)))
        .collect();
    assert_eq!(
        processes.len(),
        PROCESSES.len(),
        "tokens are spread: {processes:?}"
    );
    let token = token("anna", 1);
    let again: BTreeSet<String> = (0..5).map(|_| servers.process(&token)).collect();
    assert_eq!(again.len(), 1, "{again:?}");
}

#[test]
fn connections_of_clients_stay_open_if_the_lookup_fails() {
    let servers = Servers::start();
    let modes = [401, 503, 504]
        .map(Whoami::Status)
        .into_iter()
        .chain([Whoami::Cut]);
    for (number, mode) in modes.enumerate() {
        servers.answer_with(mode);
        let token = bearer(&token("anna", number));
        let request = format!("{SYNC} HTTP/1.1\r\nHost: example.test\r\n{token}\r\n");
        let answer = servers.nginx.ask(request.as_bytes());
        served(&answer);
        assert!(
            answer.head().contains("connection: keep-alive"),
            "{mode:?}: {}",
            answer.head()
        );
    }
}

#[test]
fn other_requests_ask_nobody() {
    let servers = Servers::start();
    let opaque = token("anna", 1);
    for token in [
        "syt_YW5uYQ_abc_def",
        "as_token_of_a_bridge",
        "mat_short_0aB9zZ",
        "mar_anna000000000001SecretHalf0000_0aB9zZ",
        &format!("x{opaque}"),
        &format!("{opaque}%41"),
        &format!("{opaque}{}", "x".repeat(80)),
    ] {
        servers.process(token);
    }
    served(&servers.nginx.ask(&request(SYNC, "")));
    let bridge = format!("{SYNC}?user_id=@a:example.test&access_token=as_token");
    served(&servers.nginx.ask(&request(&bridge, "")));
    // Not balanced by user: the answer is that of the main process.
    servers
        .nginx
        .ask(&request("GET /_matrix/client/v3/x", &bearer(&opaque)));
    assert_eq!(*servers.asked.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn whoami_receives_the_token_and_the_process_the_whole_request() {
    let servers = Servers::start();
    let line = "POST /_matrix/client/unstable/org.matrix.simplified_msc3575/sync?pos=1";
    for (number, (coding, body)) in [
        ("Content-Length: 5", "hello"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("X: y", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let token = token("anna", number);
        let headers = format!(
            "{}User-Agent: Element\r\nCookie: a=b\r\nIf-None-Match: x\r\n{coding}\r\n",
            bearer(&token)
        );
        let request = [request(line, &headers), body.into()].concat();
        let begun = Instant::now();
        let answer = servers.nginx.ask(&request);
        served(&answer);
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "whoami waits for {coding}"
        );
        assert_eq!(
            answer.body().ends_with(" hello"),
            !body.is_empty(),
            "{}",
            answer.body()
        );
        let asked = servers.asked.lock().unwrap().pop().unwrap();
        let lines: BTreeSet<&str> = asked.lines().collect();
        let expected = [
            "GET /_matrix/client/v3/account/whoami HTTP/1.1",
            "Host: example.test",
            "Connection: close",
            &format!("Authorization: Bearer {token}"),
            "User-Agent: Element",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http",
            "X-Synapse-Workers-User: 1",
        ];
        assert_eq!(lines, BTreeSet::from(expected), "{coding}");
    }
}

#[test]
fn half_of_the_token_is_stored_and_only_nginx_can_read_it() {
    let servers = Servers::start();
    servers.process(&token("anna", 1));
    let users = servers.nginx.path("users");
    assert_eq!(
        fs::metadata(&users).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let stored = servers.nginx.eventually("the answer is stored", || {
        let directories = fs::read_dir(&users)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = directories.flat_map(|directory| fs::read_dir(directory).unwrap());
        files
            .map(|file| fs::read(file.unwrap().path()).unwrap())
            .next()
    });
    let stored = String::from_utf8_lossy(&stored);
    assert!(stored.contains("KEY: anna000000000001\n"), "{stored}");
    assert!(!stored.contains("SecretHalf"), "{stored}");
}

#[test]
fn clients_cannot_ask_whoami_in_the_place_of_nginx() {
    let servers = Servers::start();
    let line = "GET /_synapse/workers/user";
    let answer = servers
        .nginx
        .ask(&request(line, &bearer(&token("anna", 1))));
    assert_eq!(answer.status(), 403);
    assert!(servers.asked.lock().unwrap().is_empty());
}

#[test]
fn nginx_asks_only_if_it_has_a_choice_between_processes() {
    for (workers, settings, asks) in [
        ("synchrotron:2", MAS, Some("synchrotron")),
        (
            "synchrotron:2, receipts:2, client_reader:2",
            MAS,
            Some("synchrotron|receipts"),
        ),
        ("synchrotron, client_reader:2", MAS, None),
        ("", MAS, None),
        ("synchrotron:2", "", None),
    ] {
        let state = Setup::new(workers).settings(settings).state();
        accepted(&state, workers);
        let text = text(&state, "nginx/nginx.conf");
        assert_eq!(text.contains("auth_request"), asks.is_some(), "{workers}");
        let upstreams = asks.map(|upstreams| format!("\"~^({upstreams}) .\" 1;"));
        assert!(
            upstreams.is_none_or(|line| text.contains(&line)),
            "{workers}\n{text}"
        );
    }
}

#[test]
fn nginx_and_the_launcher_use_the_same_header() {
    let launcher = include_str!("../../../packaging/launcher/named_users.py");
    let line = launcher
        .lines()
        .find_map(|line| line.strip_prefix("HEADER = b\""));
    let header = line.unwrap().trim_end_matches('"');
    let state = Setup::new("synchrotron:2").settings(MAS).state();
    let nginx = text(&state, "nginx/nginx.conf");
    assert!(
        nginx.contains(&format!("proxy_set_header {header} 1;")),
        "{header}"
    );
    let variable = header.to_lowercase().replace('-', "_");
    assert!(
        nginx.contains(&format!("$upstream_http_{variable};")),
        "{variable}"
    );
}
