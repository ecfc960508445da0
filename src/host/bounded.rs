//! Exchanges with a process that may be compromised: one deadline for the whole exchange, and a limit on the bytes that
//! are read.
//!
//! A socket timeout alone bounds each single call. A peer that sends one byte before each timeout could keep the reader
//! busy for any length of time. Here, the timeout of every call is the time left until the deadline.

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The largest answer that is accepted, in bytes: a hundred times the largest answer of Synapse, Redis or nginx to the
/// requests of this program.
pub const LIMIT: usize = 1 << 20;

/// A socket with timeouts for reads and writes.
pub trait Socket: Read + Write {
    /// Sets the timeout of the next read.
    fn bound_read(&self, left: Duration) -> Result<()>;
    /// Sets the timeout of the next write.
    fn bound_write(&self, left: Duration) -> Result<()>;
}

impl Socket for UnixStream {
    fn bound_read(&self, left: Duration) -> Result<()> {
        self.set_read_timeout(Some(left))
    }

    fn bound_write(&self, left: Duration) -> Result<()> {
        self.set_write_timeout(Some(left))
    }
}

impl Socket for TcpStream {
    fn bound_read(&self, left: Duration) -> Result<()> {
        self.set_read_timeout(Some(left))
    }

    fn bound_write(&self, left: Duration) -> Result<()> {
        self.set_write_timeout(Some(left))
    }
}

/// A connection that ends at its deadline, or after a limited number of bytes.
pub struct Bounded {
    socket: Box<dyn Socket>,
    deadline: Instant,
    /// Number of bytes that may still be read.
    left: usize,
    limit: usize,
}

impl Bounded {
    /// Wraps an open connection. `limit` is in bytes and applies to reads.
    pub fn new(socket: impl Socket + 'static, deadline: Instant, limit: usize) -> Self {
        Self {
            socket: Box::new(socket),
            deadline,
            left: limit,
            limit,
        }
    }

    /// Connects to a Unix socket. The deadline includes the connection itself: the queue of a peer that never accepts
    /// fills up, and `connect` then blocks (unix(7), `SO_SNDTIMEO` in socket(7)).
    ///
    /// # Errors
    /// When nothing listens at the path, or the deadline has passed.
    pub fn unix(path: &str, deadline: Instant, limit: usize) -> Result<Self> {
        let socket = socket(
            AddressFamily::Unix,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )?;
        let left = left(deadline)?;
        // Zero would mean no timeout.
        let microseconds = i64::try_from(left.as_micros()).unwrap_or(i64::MAX).max(1);
        let wait = TimeVal::microseconds(microseconds);
        setsockopt(&socket, sockopt::SendTimeout, &wait)?;
        connect(socket.as_raw_fd(), &UnixAddr::new(path)?).map_err(|error| named(error.into()))?;
        Ok(Self::new(UnixStream::from(socket), deadline, limit))
    }

    /// Connects to a TCP address.
    ///
    /// # Errors
    /// When nothing listens at the address, or the deadline has passed.
    pub fn tcp(address: SocketAddr, deadline: Instant, limit: usize) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&address, left(deadline)?).map_err(named)?;
        Ok(Self::new(socket, deadline, limit))
    }
}

impl Read for Bounded {
    /// # Errors
    /// When the deadline has passed, or the peer sends more than the limit.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.socket.bound_read(left(self.deadline)?)?;
        // One byte more than the limit distinguishes an answer of exactly that length from a longer one.
        let room = buffer.len().min(self.left + 1);
        let read = self.socket.read(&mut buffer[..room]).map_err(named)?;
        if read > self.left {
            return Err(Error::new(
                ErrorKind::FileTooLarge,
                format!("the peer sent more than {} bytes", self.limit),
            ));
        }
        self.left -= read;
        Ok(read)
    }
}

impl Write for Bounded {
    /// # Errors
    /// When the deadline has passed.
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        self.socket.bound_write(left(self.deadline)?)?;
        self.socket.write(buffer).map_err(named)
    }

    fn flush(&mut self) -> Result<()> {
        self.socket.flush()
    }
}

/// The time until a deadline.
fn left(deadline: Instant) -> Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(late()),
        false => Ok(left),
    }
}

/// Renames a timeout: the kernel reports it as "resource temporarily unavailable".
fn named(error: Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => error,
    }
}

fn late() -> Error {
    Error::new(ErrorKind::TimedOut, "no complete answer in time")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(200)
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(600)
    }

    /// Runs a peer on a Unix socket until the connection is cut, and returns the result of the reader.
    fn against(
        peer: impl FnOnce(UnixStream) -> u64 + Send + 'static,
        deadline: Instant,
        limit: usize,
    ) -> (Result<usize>, Vec<u8>, u64) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let sent = std::thread::spawn(move || peer(listener.accept().unwrap().0));
        let mut answer = Vec::new();
        let result = Bounded::unix(path.to_str().unwrap(), deadline, limit)
            .and_then(|mut stream| stream.read_to_end(&mut answer));
        (result, answer, sent.join().unwrap())
    }

    #[test]
    fn a_peer_that_sends_without_end_is_cut_off_at_the_limit() {
        let endless = |mut stream: UnixStream| {
            let mut sent = 0;
            while let Ok(written) = stream.write(&[b'x'; 4096]) {
                sent += written as u64;
            }
            sent
        };
        let (result, answer, sent) = against(endless, later(), 10_000);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge, "{error}");
        assert!(
            error.to_string().contains("more than 10000 bytes"),
            "{error}"
        );
        assert!(answer.len() <= 10_000, "{} bytes read", answer.len());
        // Only the kernel's buffers were filled beyond the limit: the reader stopped.
        assert!(sent < 4_000_000, "{sent} bytes sent");
    }

    #[test]
    fn a_peer_that_drips_is_cut_off_at_the_deadline() {
        let drips = |mut stream: UnixStream| {
            let mut sent = 0;
            while stream.write_all(b"x").is_ok() {
                sent += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            sent
        };
        let (result, answer, sent) = against(drips, soon(), LIMIT);
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        // The peer kept sending, so a timeout for each single read would never have expired.
        assert!(!answer.is_empty() && sent >= answer.len() as u64);
    }

    #[test]
    fn an_answer_of_just_the_limit_is_whole() {
        let sends = |mut stream: UnixStream| {
            stream.write_all(&[b'x'; 1000]).unwrap();
            1000
        };
        let (result, answer, _) = against(sends, later(), 1000);
        assert_eq!((result.unwrap(), answer.len()), (1000, 1000));
        let (result, ..) = against(sends, later(), 999);
        assert_eq!(result.unwrap_err().kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_peer_that_reads_nothing_holds_no_writer() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut stream = Bounded::new(near, soon(), LIMIT);
        let error = stream.write_all(&vec![0; 8 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        drop(far);
    }

    #[test]
    fn a_peer_that_accepts_nothing_blocks_no_connection() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        let path = path.to_str().unwrap();
        let mut waiting = Vec::new();
        // A few connections fill the queue; `connect` without a timeout would then block forever.
        let error = loop {
            match Bounded::unix(path, soon(), LIMIT) {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 100, "the queue has no end");
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        drop(listener);
    }

    #[test]
    fn a_deadline_that_has_passed_connects_to_nothing() {
        let (near, _far) = UnixStream::pair().unwrap();
        let mut stream = Bounded::new(near, Instant::now(), LIMIT);
        let read = stream.read(&mut [0; 1]).unwrap_err().kind();
        let written = stream.write(&[0; 1]).unwrap_err().kind();
        assert_eq!((read, written), (ErrorKind::TimedOut, ErrorKind::TimedOut));
    }
}
