//! Asking Redis: our own over its socket, somebody else's over TCP or TLS, with its password.

use super::files;
use super::tools::{self, Tool};
use crate::paths;
use crate::settings::Settings;
use crate::settings::value::Scalar;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Bound of one question: a healthy server answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// One command without arguments of blanks; the first line, or the elements, of the reply.
pub fn ask(socket: &str, command: &str) -> Result<Vec<String>> {
    let stream =
        UnixStream::connect(socket).with_context(|| format!("cannot connect to {socket}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(&stream).lines();
    (&stream).write_all(format!("{command}\r\n").as_bytes())?;
    let mut line = || -> Result<String> { Ok(lines.next().context("no answer")??) };
    let first = line()?;
    match first.split_at_checked(1) {
        Some(("*", count)) => {
            let count: usize = count.parse()?;
            let mut elements = Vec::new();
            for _ in 0..count {
                let head = line()?;
                elements.push(if head.starts_with('$') {
                    line()?
                } else {
                    head[1..].to_owned()
                });
            }
            Ok(elements)
        }
        Some(("+" | ":", rest)) => Ok(vec![rest.to_owned()]),
        _ => bail!("Redis answers {first:?}"),
    }
}

/// The Redis that carries replication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// Our own.
    Own,
    /// One of the administrator's, with the file that has its password.
    Elsewhere(Remote, Option<PathBuf>),
}

/// A Redis of the administrator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub host: String,
    pub port: u16,
    tls: bool,
    ca_file: Option<String>,
    username: Option<String>,
}

/// Asks one command, or asks on a channel and listens there for the beginnings (of three words) of what is due; it prints
/// the reply, or what did not come. The server's certificate is checked, which Synapse itself does not do
/// (replication/tcp/context.py). Everything comes over standard input, so that no password shows in a process list.
const CLIENT: &str = r#"
import json, socket, ssl, sys, time
at = json.load(sys.stdin)
class Redis:
    def __init__(self):
        if at["path"]:
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(at["patience"])
            connection.connect(at["path"])
        else:
            connection = socket.create_connection((at["host"], at["port"]), at["patience"])
        if at["tls"]:
            context = ssl.create_default_context(cafile=at["ca_file"])
            # Chain and name are checked, as Python before 3.13 does; authorities of one's own lack RFC 5280's extensions.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            connection = context.wrap_socket(connection, server_hostname=at["host"])
        self.connection = connection
        self.stream = connection.makefile("rwb")
        if at["password"] is not None:
            self.ask("AUTH", *([at["username"]] if at["username"] else []), at["password"])
    def reply(self):
        line = self.stream.readline().rstrip(b"\r\n").decode()
        kind, rest = line[:1], line[1:]
        if kind == "-":
            sys.exit("Redis answers " + rest)
        if kind == "*":
            return [self.reply() for _ in range(int(rest))]
        if kind == "$":
            return self.stream.read(int(rest) + 2)[:-2].decode()
        if kind not in ("+", ":"):
            sys.exit("it is no Redis that answers, or it wants TLS")
        return rest
    def ask(self, *words):
        words = [word.encode() for word in words]
        parts = (b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        self.stream.write(b"*%d\r\n" % len(words) + b"".join(parts))
        self.stream.flush()
        return self.reply()
    def converse(self, channel, question, due, within):
        due = set(due)
        self.ask("SUBSCRIBE", channel)
        Redis().ask("PUBLISH", channel, question)
        end = time.monotonic() + within
        try:
            while due and (left := end - time.monotonic()) > 0:
                self.connection.settimeout(left)
                due.discard(" ".join(self.reply()[-1].split(" ")[:3]))
        except TimeoutError:
            pass
        return sorted(due)
try:
    answer = Redis().converse(*at["converse"]) if at["converse"] else Redis().ask(*at["command"])
except OSError as error:
    sys.exit(str(error))
print(json.dumps([str(word) for word in answer] if isinstance(answer, list) else [answer]))
"#;

impl Server {
    /// One command without arguments of blanks; the elements of the reply.
    ///
    /// # Errors
    /// What Redis or the connection says. The password is in none of it.
    pub fn ask(&self, python: &Path, command: &[&str]) -> Result<Vec<String>> {
        match self {
            Server::Own => ask(&paths::redis_socket(), &command.join(" ")),
            Server::Elsewhere(remote, file) => remote
                .ask(python, password(file.as_deref())?.as_deref(), command)
                .with_context(|| remote.place()),
        }
    }

    /// Publishes a question on a channel, and listens there for what is due: the first three words of each message.
    /// Returns what did not come in time.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub fn converse(
        &self,
        python: &Path,
        channel: &str,
        question: &str,
        due: &[&str],
        within: Duration,
    ) -> Result<Vec<String>> {
        let (mut at, place) = match self {
            Server::Own => {
                let path = paths::redis_socket();
                let at = json!({"path": path, "tls": false, "password": null});
                (at, path)
            }
            Server::Elsewhere(remote, file) => {
                let password = password(file.as_deref())?;
                (remote.at(password.as_deref()), remote.place())
            }
        };
        at["converse"] = json!([channel, question, due, within.as_secs_f64()]);
        run(python, at).context(place)
    }
}

/// The password in a file.
fn password(file: Option<&Path>) -> Result<Option<String>> {
    file.map_or(Ok(None), files::read_text)
}

impl Remote {
    /// The one of the settings, if there is one.
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

    /// One command; the elements of the reply.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub fn ask(
        &self,
        python: &Path,
        password: Option<&str>,
        command: &[&str],
    ) -> Result<Vec<String>> {
        let mut at = self.at(password);
        at["command"] = json!(command);
        run(python, at)
    }

    fn place(&self) -> String {
        format!("{} port {}", self.host, self.port)
    }

    /// Where it is, for the script.
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

/// Runs the script.
fn run(python: &Path, mut at: Value) -> Result<Vec<String>> {
    at["patience"] = json!(PATIENCE.as_secs());
    let output = Tool::new(python)
        .args(["-c", CLIENT])
        .input(at.to_string())
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        tools::tail(&output, 1).trim()
    );
    serde_json::from_slice(&output.stdout).context("no answer that can be read")
}
