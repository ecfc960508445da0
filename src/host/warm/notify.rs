//! Messages to systemd from the main process of a unit (sd_notify(3)).

use anyhow::{Context, Result, ensure};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, sendmsg, socket,
};
use std::env;
use std::io::{IoSlice, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The socket at which systemd receives the state of this unit.
pub(super) struct Notifier {
    socket: OwnedFd,
    address: UnixAddr,
}

impl Notifier {
    /// The socket that the environment names.
    pub fn new() -> Result<Self> {
        let path = env::var("NOTIFY_SOCKET").context("the unit has no Type=notify")?;
        let address = match path.strip_prefix('@') {
            Some(name) => UnixAddr::new_abstract(name.as_bytes()),
            None => UnixAddr::new(path.as_str()),
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        Ok(Self {
            socket: socket(AddressFamily::Unix, SockType::Datagram, flags, None)?,
            address: address?,
        })
    }

    /// Sends a message.
    pub fn send(&self, message: &str) -> Result<()> {
        self.send_with(message, &[])
    }

    /// Waits until systemd has processed all messages before this call (sd_notify_barrier(3)).
    pub fn wait_until_processed(&self, limit: Duration) -> Result<()> {
        let (mut ours, theirs) = UnixStream::pair()?;
        self.send_with("BARRIER=1", &[theirs.as_raw_fd()])?;
        drop(theirs);
        ours.set_read_timeout(Some(limit))?;
        // systemd closes its end when it has come to this message.
        let read = ours.read(&mut [0]);
        ensure!(
            matches!(read, Ok(0)),
            "systemd has not processed MAINPID= within {} s",
            limit.as_secs()
        );
        Ok(())
    }

    fn send_with(&self, message: &str, descriptors: &[RawFd]) -> Result<()> {
        let passed = [ControlMessage::ScmRights(descriptors)];
        let passed = match descriptors {
            [] => &[],
            _ => &passed[..],
        };
        let content = [IoSlice::new(message.as_bytes())];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg(
            self.socket.as_raw_fd(),
            &content,
            passed,
            flags,
            Some(&self.address),
        )
        .map(drop)
        .with_context(|| format!("systemd does not receive {message}"))
    }
}
