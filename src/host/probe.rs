//! HTTP requests over a Unix socket or loopback.

use super::bounded::{Bounded, LIMIT};
use crate::deployment::endpoints::{Endpoint, loopback};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Timeout of a whole exchange: a healthy process answers in milliseconds.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The answer to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code of the first line.
    pub status: u16,
    /// The body, with invalid UTF-8 replaced.
    pub body: String,
}

impl Answer {
    /// Whether the process serves the endpoint. It answers 404 `M_UNRECOGNIZED` for an unknown path, and 405 for a
    /// known path with another method.
    pub fn has_servlet(&self) -> bool {
        let unknown = self.status == 404 && self.body.contains("M_UNRECOGNIZED");
        !unknown && self.status != 405 && self.status < 500
    }
}

/// The destination of a request.
pub enum Peer {
    /// A process, at its Unix socket or its port on 127.0.0.1.
    At(Endpoint),
    /// An address of nginx.
    Address(SocketAddr),
}

impl Peer {
    /// A connection for one exchange. Its deadline is `end`, and at most [`PROBE_TIMEOUT`] from now.
    fn connect(&self, end: Instant, limit: usize) -> Result<Bounded> {
        let end = end.min(Instant::now() + PROBE_TIMEOUT);
        let address = match self {
            Peer::At(Endpoint::Socket(path)) => {
                return Bounded::unix(path, end, limit)
                    .with_context(|| format!("cannot connect to {path}"));
            }
            Peer::At(Endpoint::Port(port)) => loopback(*port),
            Peer::At(Endpoint::Address(address)) | Peer::Address(address) => *address,
        };
        Bounded::tcp(address, end, limit).with_context(|| format!("cannot connect to {address}"))
    }
}

/// Sends a request without credentials, answered before `end`. Like nginx, it sends headers with the address of the
/// client, because some endpoints of Synapse fail without them on a Unix socket.
///
/// # Errors
/// When there is no answer in time, the answer is not HTTP, or it is larger than `LIMIT`.
pub fn get(peer: &Peer, method: &str, path: &str, end: Instant) -> Result<Answer> {
    request(peer, method, path, ORIGIN, end)
}

/// Sends a request like [`get`], and repeats it after an error of the server while there are repetitions left. After a
/// restart of PostgreSQL, each connection in the pool of a process fails one request before Synapse replaces it
/// (storage/database.py, `runWithConnection`).
///
/// # Errors
/// The same as for [`get`].
pub fn get_repeated(
    peer: &Peer,
    method: &str,
    path: &str,
    repetitions: &mut u32,
    end: Instant,
) -> Result<Answer> {
    loop {
        let answer = get(peer, method, path, end)?;
        if answer.status < 500 || *repetitions == 0 {
            return Ok(answer);
        }
        *repetitions -= 1;
    }
}

/// Sends another service a GET request for a path at its host.
///
/// # Errors
/// The same as for [`get`].
pub fn get_of(peer: &Peer, host: &str, path: &str, end: Instant) -> Result<Answer> {
    answer(ask(peer, host, "GET", path, "", end, LIMIT)?)
}

/// Sends a service of this host a POST request with JSON.
///
/// # Errors
/// The same as for [`get`].
pub fn post(peer: &Peer, path: &str, json: &str, end: Instant) -> Result<Answer> {
    let mut stream = peer.connect(end, LIMIT)?;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {HERE}\r\nUser-Agent: synapse-workers\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{json}",
        json.len()
    );
    stream.write_all(request.as_bytes())?;
    answer(stream)
}

/// Sends nginx a request that only the host itself may send: it has no headers with the address of a client.
///
/// # Errors
/// The same as for [`get`].
pub fn get_as_host(peer: &Peer, path: &str, end: Instant) -> Result<Answer> {
    request(peer, "GET", path, "", end)
}

/// Returns the status of an answer. The whole answer is read and discarded, since the metrics of a large server are
/// larger than `LIMIT`.
///
/// # Errors
/// As for [`get`], but the answer may have up to 64 MiB.
pub fn status(peer: &Peer, path: &str, end: Instant) -> Result<u16> {
    let stream = ask(peer, HERE, "GET", path, ORIGIN, end, LARGE)?;
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    let head = (&mut stream).take(HEAD).read_until(b'\n', &mut line);
    head.and_then(|_| std::io::copy(&mut stream, &mut std::io::sink()))
        .context(WAITING)?;
    code(&String::from_utf8_lossy(&line))
}

/// Returns the body of a page that may be larger than `LIMIT`, such as the metrics of a large server. It asks with
/// HTTP/1.0, so that no answer consists of chunks.
///
/// # Errors
/// When there is no answer in time, the status is not 200, or the answer is larger than [`LARGE`].
pub fn page(peer: &Peer, path: &str, end: Instant) -> Result<String> {
    let mut stream = peer.connect(end, LARGE)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {HERE}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let answer = answer(stream)?;
    ensure!(answer.status == 200, "{path} answers {}", answer.status);
    Ok(answer.body)
}

/// Checks that the address accepts connections before `end`.
///
/// # Errors
/// With the error of the connection.
pub fn reachable(address: SocketAddr, end: Instant) -> Result<()> {
    Peer::Address(address).connect(end, 0).map(drop)
}

/// Headers with the address of the client. Synapse logs a warning for an address without a protocol.
const ORIGIN: &str = "X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: https\r\n";
/// The largest answer of any kind, in bytes.
const LARGE: usize = 64 << 20;
/// The maximum length of an answer's first line, in bytes.
const HEAD: u64 = 8 << 10;
/// The body of a request that changes something. Synapse logs a warning for a body that is no JSON (http/servlet.py,
/// `parse_json_value_from_request`), and refuses a list, so that the request has no effect.
const BODY: &str =
    "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]";
const NO_BODY: &str = "Content-Length: 0\r\nConnection: close\r\n\r\n";
/// The name of the host in requests to nginx and Synapse.
const HERE: &str = "localhost";
const WAITING: &str = "waiting for an answer";

fn ask(
    peer: &Peer,
    host: &str,
    method: &str,
    path: &str,
    origin: &str,
    end: Instant,
    limit: usize,
) -> Result<Bounded> {
    let mut stream = peer.connect(end, limit)?;
    let rest = match method {
        "GET" | "HEAD" | "OPTIONS" => NO_BODY,
        _ => BODY,
    };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: synapse-workers verify\r\n{origin}{rest}"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn request(peer: &Peer, method: &str, path: &str, origin: &str, end: Instant) -> Result<Answer> {
    answer(ask(peer, HERE, method, path, origin, end, LIMIT)?)
}

/// Reads the answer to a request.
fn answer(mut stream: Bounded) -> Result<Answer> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context(WAITING)?;
    let end = answer.windows(END.len()).position(|part| part == END);
    let (head, body) = match end {
        Some(end) => (&answer[..end], &answer[end + END.len()..]),
        None => (&answer[..], &[][..]),
    };
    let head = String::from_utf8_lossy(head);
    let body = match head
        .to_ascii_lowercase()
        .contains("\r\ntransfer-encoding: chunked")
    {
        true => dechunked(body),
        false => body.to_owned(),
    };
    Ok(Answer {
        status: code(&head)?,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// The end of the head of an answer.
const END: &[u8] = b"\r\n\r\n";

/// The body without the sizes of its chunks (RFC 9112, 7.1), as far as it is well formed.
fn dechunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|part| part == b"\r\n") {
        let line = String::from_utf8_lossy(&rest[..end]);
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let chunk = rest.get(end + 2..).and_then(|after| after.get(..size));
        let Some(chunk) = chunk.filter(|chunk| !chunk.is_empty()) else {
            break;
        };
        body.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    body
}

/// The status code in an answer's first line.
fn code(head: &str) -> Result<u16> {
    let line = head.lines().next().unwrap_or("nothing");
    let word = line
        .strip_prefix("HTTP/")
        .and_then(|rest| rest.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).with_context(|| {
        let shown: String = line.chars().take(80).collect();
        format!("no HTTP answer: {shown}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_joined() {
        let whole = |text: &str| String::from_utf8(dechunked(text.as_bytes())).unwrap();
        assert_eq!(
            whole("4\r\nab\nc\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n"),
            "ab\nc0123456789"
        );
        // The connection ended early.
        assert_eq!(whole("4\r\nabcd\r\n9\r\nabc"), "abcd");
        assert_eq!(whole("none"), "");
    }
}
