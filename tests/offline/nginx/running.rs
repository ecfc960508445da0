//! A running nginx with its rendered configuration, and a fake main process of Synapse behind it.

use super::super::setup::{Setup, text};
use super::super::validators::program;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};
use synapse_workers::state::paths;
use tempfile::TempDir;

const SOCKETS: &str = "/run/synapse-workers/public/";

/// A running nginx. It stops when this value is dropped.
pub struct Nginx {
    directory: TempDir,
    child: Child,
    /// The address that expects the PROXY protocol, if the settings have such a port.
    proxied: SocketAddr,
}

impl Nginx {
    /// Starts nginx with a Unix socket as its only listener, so that tests need no port.
    pub fn start(setup: Setup) -> Self {
        Self::edited(setup, |configuration| configuration)
    }

    /// Starts it with a configuration that a test edited.
    pub fn edited(setup: Setup, edit: impl FnOnce(String) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = format!("{}/", directory.path().display());
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fake_main(directory.path().join("main.sock"));
        let state = setup.state();
        let moved = |text: &str| {
            text.replace(SOCKETS, &place)
                .replace(paths::ACCESS_LOG, &format!("{place}access.log"))
                .replace(paths::REQUEST_LOG, &format!("{place}requests.log"))
        };
        for (path, file) in &state.files {
            if let Some(name) = path.strip_prefix("nginx/") {
                let text = std::str::from_utf8(&file.contents).unwrap();
                fs::write(directory.path().join(name), moved(text)).unwrap();
            }
        }
        let configuration = moved(text(&state, "nginx/nginx.conf"));
        // The listener below has no TLS. Tests run side by side, so the status page has no port of this machine either.
        let configuration: String = configuration
            .lines()
            .filter(|line| !line.trim().starts_with("ssl_"))
            .map(|line| match line.trim().starts_with("listen 127.0.0.1:") {
                true => format!("listen unix:{place}status.sock;\n"),
                false => format!("{line}\n"),
            })
            .collect();
        fs::write(directory.path().join("nginx.conf"), edit(configuration)).unwrap();
        let listen = format!("listen unix:{place}nginx.sock;\n");
        fs::write(directory.path().join("listen.conf"), listen).unwrap();
        let proxied = free_port();
        if state.files.contains_key("nginx/listen-proxied.conf") {
            let listen = format!("listen {proxied} proxy_protocol;\n");
            fs::write(directory.path().join("listen-proxied.conf"), listen).unwrap();
        }
        if state.files.contains_key("nginx/listen-challenge.conf") {
            let listen = format!("listen unix:{place}challenge.sock;\n");
            fs::write(directory.path().join("listen-challenge.conf"), listen).unwrap();
        }
        let child = program("nginx")
            .args(["-e", "stderr", "-p", &place, "-c", "nginx.conf"])
            .args(["-g", &format!("daemon off; pid {place}nginx.pid;")])
            .stderr(fs::File::create(directory.path().join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let nginx = Self {
            directory,
            child,
            proxied,
        };
        // nginx writes it after the last socket is bound.
        nginx.eventually("it listens", || {
            nginx.path("nginx.pid").exists().then_some(())
        });
        nginx
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Sends a request over its Unix socket.
    pub fn ask(&self, request: &[u8]) -> Answer {
        ask_over(self.connect("nginx.sock").unwrap(), request)
    }

    /// Sends a request to the port for the authority of the certificate.
    pub fn ask_as_authority(&self, request: &[u8]) -> Answer {
        ask_over(self.connect("challenge.sock").unwrap(), request)
    }

    /// Sends the first line of the PROXY protocol and a request over TCP, from 127.0.0.1.
    pub fn ask_through_proxy(&self, line: &[u8], request: &[u8]) -> Answer {
        let stream = TcpStream::connect(self.proxied).unwrap();
        let timeout = Some(Duration::from_secs(20));
        stream.set_read_timeout(timeout).unwrap();
        ask_over(stream, &[line, request].concat())
    }

    fn connect(&self, socket: &str) -> std::io::Result<UnixStream> {
        let stream = UnixStream::connect(self.path(socket))?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(stream)
    }

    pub fn eventually<T>(&self, what: &str, condition: impl Fn() -> Option<T>) -> T {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(Instant::now() < deadline, "not in time: {what}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// An address of this machine that no program listens on at the moment.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// Sends a request over a connection.
fn ask_over(mut stream: impl Read + Write, request: &[u8]) -> Answer {
    // nginx may answer and close the connection before it has read the whole request.
    let _ = stream.write_all(request);
    let (mut answer, mut part) = (Answer(String::new()), [0; 4096]);
    while !answer.is_complete() {
        match stream.read(&mut part) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.0 += &String::from_utf8_lossy(&part[..length]),
        }
    }
    answer
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        // Only on this signal do the workers of nginx end with the main process.
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// A response as received: head and body.
pub struct Answer(String);

impl Answer {
    pub fn status(&self) -> u16 {
        let word = self.0.split(' ').nth(1);
        word.and_then(|word| word.parse().ok()).unwrap_or(0)
    }

    pub fn head(&self) -> String {
        self.0
            .split("\r\n\r\n")
            .next()
            .unwrap_or_default()
            .to_lowercase()
    }

    /// If nginx expects more of the request, it leaves the connection open for some seconds.
    fn is_complete(&self) -> bool {
        let head = self.head();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        length.is_some_and(|length| self.body().len().to_string() == length)
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// A fake main process. It answers with the status at the end of the path, or 404, and with the size of the request
/// line and headers as Twisted counts it. If the path contains `/cookies/`, it sets long cookies; if it contains
/// `/forwarded/`, it answers with the headers of the proxy; if it ends with `cut`, it closes the connection.
fn fake_main(socket: PathBuf) {
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            thread::spawn(move || serve(&stream));
        }
    });
}

fn serve(mut stream: &UnixStream) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let head: Vec<String> = reader
        .by_ref()
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let size: usize = head.iter().map(String::len).sum();
    let path = head.first()?.split(' ').nth(1)?;
    let status = match path.rsplit('/').next()? {
        "cut" => return None,
        last => last.split('?').next()?.parse().unwrap_or(404),
    };
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let forwarded: Vec<&str> = head
        .iter()
        .filter_map(|line| line.strip_prefix("X-Forwarded-"))
        .collect();
    let length = length.map_or(0, |length| length.parse().unwrap());
    // If the body is not read, closing the connection resets it.
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    // The session cookies of a redirect to an OIDC provider.
    let cookies = match path.contains("/cookies/") {
        true => format!(
            "Set-Cookie: a={0}\r\nSet-Cookie: b={0}\r\n",
            "c".repeat(5_000)
        ),
        false => String::new(),
    };
    let body = match path.contains("/forwarded/") {
        true => forwarded.join(", "),
        false => format!("Synapse, {size}"),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: text/x\r\n{cookies}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(answer.as_bytes()).ok()
}
