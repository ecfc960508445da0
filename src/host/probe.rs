//! Asking: an HTTP request over a Unix socket or loopback.

use crate::endpoints::{Endpoint, loopback};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Bound of one probe: a healthy process answers in milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    /// Whether the process knows the endpoint: one that does not answers 404 `M_UNRECOGNIZED`, or 405 where it
    /// knows the path for another method.
    pub fn has_servlet(&self) -> bool {
        let unknown = self.status == 404 && self.body.contains("M_UNRECOGNIZED");
        !unknown && self.status != 405 && self.status < 500
    }
}

/// Where a request goes.
pub enum Peer {
    At(Endpoint),
    Address(SocketAddr),
}

impl Peer {
    /// A connection that gives up after [`PATIENCE`].
    fn connect(&self) -> Result<Box<dyn Connection>> {
        let address = match self {
            Peer::At(Endpoint::Socket(path)) => {
                let stream = UnixStream::connect(path)
                    .with_context(|| format!("cannot connect to {path}"))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(Box::new(stream));
            }
            Peer::At(Endpoint::Port(port)) => loopback(*port),
            Peer::Address(address) => *address,
        };
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .with_context(|| format!("cannot connect to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Box::new(stream))
    }
}

/// A stream of either kind.
trait Connection: Read + Write {}
impl<T: Read + Write> Connection for T {}

/// One request without a body and without credentials. It names an address of origin as nginx does: some endpoints
/// of Synapse fail without one on a Unix socket.
pub fn get(peer: &Peer, method: &str, path: &str) -> Result<Answer> {
    request(peer, method, path, "X-Forwarded-For: 127.0.0.1\r\n")
}

/// A request to nginx for what it answers the host itself only: nothing that names an address of origin.
pub fn get_as_host(peer: &Peer, path: &str) -> Result<Answer> {
    request(peer, "GET", path, "")
}

fn request(peer: &Peer, method: &str, path: &str, origin: &str) -> Result<Answer> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: synapse-workers verify\r\n{origin}\
         Content-Length: 0\r\nConnection: close\r\n\r\n"
    );
    exchange(peer.connect()?, &request)
}

/// Whether something accepts connections there.
pub fn reachable(address: SocketAddr) -> Result<()> {
    Peer::Address(address).connect().map(drop)
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .context("waiting for an answer")?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .with_context(|| {
            format!(
                "no HTTP answer: {}",
                head.lines().next().unwrap_or("nothing")
            )
        })?;
    Ok(Answer {
        status,
        body: body.to_owned(),
    })
}
