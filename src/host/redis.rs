//! Queries to Redis: this program's own over its socket, an external one over TCP or TLS with its password.

use super::bounded::{Bounded, LIMIT};
use super::tools::{self, Tool};
use super::{files, resp};
use crate::settings::Settings;
use crate::settings::value::Scalar;
use crate::state::paths;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Timeout of a whole exchange: a healthy server answers in milliseconds.
pub const REDIS_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one command with a deadline, after the password if there is one; the words of both must not contain blanks.
/// Returns the first line, or the elements, of the reply.
///
/// # Errors
/// When Redis answers with an error, or does not reply before the deadline.
pub fn ask(
    socket: &str,
    password: Option<&str>,
    command: &str,
    end: Instant,
) -> Result<Vec<String>> {
    let end = end.min(Instant::now() + REDIS_TIMEOUT);
    let stream =
        Bounded::unix(socket, end, LIMIT).with_context(|| format!("cannot connect to {socket}"))?;
    let mut stream = BufReader::new(stream);
    let login = password.map(|password| format!("AUTH {password}"));
    let mut reply = Vec::new();
    for line in login.as_deref().into_iter().chain([command]) {
        stream
            .get_mut()
            .write_all(format!("{line}\r\n").as_bytes())?;
        reply = resp::read(&mut stream)?.texts();
    }
    Ok(reply)
}

/// The Redis server for replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// The Redis of this program, with the file that contains its password if it serves other hosts too.
    Own(Option<PathBuf>),
    /// An external Redis, with the file that contains its password.
    External(Remote, Option<PathBuf>),
}

/// An external Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// A host name or an IP address (`redis.host`).
    pub host: String,
    /// The TCP port, with or without TLS (`redis.port`).
    pub port: u16,
    tls: bool,
    ca_file: Option<String>,
    username: Option<String>,
}

/// The script that queries an external Redis over TCP or TLS.
const CLIENT: &str = include_str!("redis.py");

impl Server {
    /// Sends one command with a deadline; its arguments must not contain blanks. Returns the elements of the reply.
    ///
    /// # Errors
    /// The error of Redis or of the connection. It never contains the password.
    pub fn ask(&self, command: &[&str], end: Instant) -> Result<Vec<String>> {
        match self {
            Server::Own(file) => ask(
                &paths::redis_socket(),
                password(file.as_deref())?.as_deref(),
                &command.join(" "),
                end,
            ),
            Server::External(remote, file) => remote
                .ask(password(file.as_deref())?.as_deref(), command, end)
                .with_context(|| remote.place()),
        }
    }

    /// Publishes a question on a channel, and listens there for the expected answers: the first three words of each
    /// message. Returns the answers that did not arrive in time. The time for listening begins when both connections
    /// are established.
    ///
    /// # Errors
    /// As for [`Server::ask`]; `end` is the deadline for establishing the connections.
    pub fn converse(
        &self,
        channel: &str,
        question: &str,
        due: &[&str],
        within: Duration,
        end: Instant,
    ) -> Result<Vec<String>> {
        let (mut at, place) = match self {
            Server::Own(file) => {
                let path = paths::redis_socket();
                let password = password(file.as_deref())?;
                let at =
                    json!({"path": path, "tls": false, "username": null, "password": password});
                (at, path)
            }
            Server::External(remote, file) => {
                let password = password(file.as_deref())?;
                (remote.at(password.as_deref()), remote.place())
            }
        };
        at["converse"] = json!([channel, question, due, within.as_secs_f64()]);
        run(at, end).context(place)
    }
}

/// The password in a file.
fn password(file: Option<&Path>) -> Result<Option<String>> {
    file.map_or(Ok(None), files::read_text)
}

impl Remote {
    /// The external Redis of the settings, if they have one.
    pub fn of(settings: &Settings) -> Option<Self> {
        let redis = &settings.redis;
        Some(Self {
            host: redis.host.as_ref()?.show(),
            port: redis.port.number(),
            tls: redis.tls,
            ca_file: redis.ca_file.as_ref().map(Scalar::show),
            username: redis.username.as_ref().map(Scalar::show),
        })
    }

    /// Sends one command with a deadline. Returns the elements of the reply.
    ///
    /// # Errors
    /// As for [`Server::ask`].
    pub fn ask(
        &self,
        password: Option<&str>,
        command: &[&str],
        end: Instant,
    ) -> Result<Vec<String>> {
        let mut at = self.at(password);
        at["command"] = json!(command);
        run(at, end)
    }

    fn place(&self) -> String {
        format!("{} port {}", self.host, self.port)
    }

    /// The parameters of the connection, for the script.
    fn at(&self, password: Option<&str>) -> Value {
        json!({
            "path": null,
            "host": self.host,
            "port": self.port,
            "tls": self.tls,
            "ca_file": self.ca_file,
            "username": self.username,
            "password": password,
            "converse": null,
        })
    }
}

/// Runs the script with the system's Python: another account may be able to replace Synapse's own Python, and the
/// directory of the script and the current directory may contain modules that shadow the standard library.
fn run(mut at: Value, end: Instant) -> Result<Vec<String>> {
    let left = end
        .saturating_duration_since(Instant::now())
        .min(REDIS_TIMEOUT);
    ensure!(!left.is_zero(), "no complete answer in time");
    at["timeout"] = json!(left.as_secs_f64());
    let output = Tool::new("python3")
        .args(["-I", "-c", CLIENT])
        .input(at.to_string())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        tools::tail(&output, 1).trim()
    );
    serde_json::from_slice(&output.stdout).context("cannot parse the answer")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, Read};
    use std::net::{TcpListener, TcpStream};

    /// The result of the script for a peer that answers the first command like this.
    fn against(
        within: Duration,
        peer: impl FnOnce(TcpStream) + Send + 'static,
    ) -> Result<Vec<String>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let remote = Remote {
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            tls: false,
            ca_file: None,
            username: None,
        };
        let server = std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            // `*1`, `$4`, `PING`; nothing if the script never sent a command.
            let lines = BufReader::new(&stream).lines().take(3);
            if let Some(Ok(_)) = lines.last() {
                peer(stream);
            }
        });
        let port = remote.port;
        let answer = remote.ask(None, &["PING"], Instant::now() + within);
        // If the script did not connect, this connection ends the accept.
        drop(TcpStream::connect(("127.0.0.1", port)));
        server.join().unwrap();
        answer
    }

    fn answering(reply: &str) -> Result<Vec<String>> {
        let reply = reply.to_owned();
        against(REDIS_TIMEOUT, move |mut stream| {
            // The script may have closed the connection before all of it was sent.
            let _ = stream.write_all(reply.as_bytes());
            let _ = stream.read(&mut [0]);
        })
    }

    #[test]
    fn the_script_reads_replies_as_the_parser_does() {
        for reply in [
            "+PONG\r\n",
            ":3\r\n",
            "*2\r\n$4\r\na\r\nb\r\n:3\r\n",
            "*2\r\n$-1\r\n+a\r\n",
        ] {
            let parsed = resp::read(&mut reply.as_bytes()).unwrap().texts();
            assert_eq!(answering(reply).unwrap(), parsed, "{reply:?}");
        }
    }

    #[test]
    fn the_script_is_not_fed_without_end() {
        let (long, deep) = (
            format!("+{}", "x".repeat(4 << 20)),
            "*1\r\n".repeat(100_000),
        );
        for (reply, message) in [
            (long.as_str(), "a line without its end"),
            (&deep, "too many levels"),
            ("*1025\r\n", "the length 1025"),
            ("$1048577\r\n", "the length 1048577"),
            ("$-2\r\n", "the length -2"),
            ("\r\n", "another beginning"),
            ("-NOAUTH first\r\n", "Redis answers NOAUTH first"),
        ] {
            let error = format!("{:#}", answering(reply).unwrap_err());
            assert!(error.contains(message), "{message}: {error}");
        }
    }

    #[test]
    fn the_script_ends_at_its_deadline_whatever_drips() {
        let error = against(Duration::from_millis(500), |mut stream| {
            while stream.write_all(b"+").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("no complete answer in time"), "{error}");
    }
}
