//! Asking Redis: our own over its socket, somebody else's over TCP or TLS, with its password.

use super::tools::{self, Tool};
use crate::settings::Settings;
use crate::settings::value::Scalar;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
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

/// A Redis of the administrator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub host: String,
    pub port: u16,
    tls: bool,
    ca_file: Option<String>,
    username: Option<String>,
}

/// The server's certificate is checked, which Synapse itself does not do (replication/tcp/context.py). Everything comes
/// over standard input, so that no password shows in a process list.
const CLIENT: &str = r#"
import json, socket, ssl, sys
at = json.load(sys.stdin)
def reply():
    line = stream.readline().rstrip(b"\r\n").decode()
    kind, rest = line[:1], line[1:]
    if kind == "-":
        sys.exit("Redis answers " + rest)
    if kind == "*":
        return [reply() for _ in range(int(rest))]
    if kind == "$":
        return stream.read(int(rest) + 2)[:-2].decode()
    if kind not in ("+", ":"):
        sys.exit("it is no Redis that answers, or it wants TLS")
    return rest
def ask(*words):
    words = [word.encode() for word in words]
    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
    stream.flush()
    return reply()
try:
    connection = socket.create_connection((at["host"], at["port"]), at["patience"])
    if at["tls"]:
        context = ssl.create_default_context(cafile=at["ca_file"])
        # Chain and name are checked, as Python before 3.13 does; authorities of one's own lack RFC 5280's extensions.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        connection = context.wrap_socket(connection, server_hostname=at["host"])
    stream = connection.makefile("rwb")
    if at["password"] is not None:
        ask("AUTH", *([at["username"]] if at["username"] else []), at["password"])
    answer = ask(*at["command"])
except OSError as error:
    sys.exit(str(error))
print(json.dumps([str(word) for word in answer] if isinstance(answer, list) else [answer]))
"#;

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
    /// What Redis or the connection says. The password is in none of it.
    pub fn ask(
        &self,
        python: &Path,
        password: Option<&str>,
        command: &[&str],
    ) -> Result<Vec<String>> {
        let question = json!({
            "host": self.host,
            "port": self.port,
            "tls": self.tls,
            "ca_file": self.ca_file,
            "username": self.username,
            "password": password,
            "command": command,
            "patience": PATIENCE.as_secs(),
        });
        let output = Tool::new(python)
            .args(["-c", CLIENT])
            .input(question.to_string())
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            tools::tail(&output, 1).trim()
        );
        serde_json::from_slice(&output.stdout).context("no answer that can be read")
    }
}
