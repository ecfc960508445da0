//! The request for a process, and the process that waits for its release.

use crate::host::files;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::sockopt::{ReceiveTimeout, SendTimeout};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send,
    sendmsg, setsockopt, socket,
};
use nix::sys::time::TimeVal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

/// The number of standard streams; held sockets follow them (sd_listen_fds(3)).
const STREAMS: RawFd = 3;
/// The longest answer in bytes.
const ANSWER: usize = 4096;

/// The request, as `warm_request.py` reads it.
#[derive(Serialize)]
struct Request {
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    directory: String,
    /// /proc/self/status.
    status: String,
    /// /proc/self/limits.
    limits: String,
    oom_score_adj: i32,
}

/// A forked process, which waits. It ends when this value is dropped before its release.
pub(super) struct Forked {
    connection: OwnedFd,
    pub pid: u32,
}

impl Forked {
    /// Lets the process run.
    pub fn release(self) -> Result<()> {
        send(self.connection.as_raw_fd(), b"go", MsgFlags::MSG_NOSIGNAL)
            .map(drop)
            .with_context(|| format!("process {} has ended", self.pid))
    }
}

/// Asks the fork server at a socket for a process that takes the place of this one.
///
/// # Errors
/// When there is no server, when it does not answer within `limit`, and when it refuses.
pub(super) fn request(path: &Path, command: &[OsString], limit: Duration) -> Result<Forked> {
    let request = Request {
        arguments: command
            .iter()
            .map(|word| text(word))
            .collect::<Result<_>>()?,
        environment: env::vars_os()
            .map(|(name, value)| Ok((text(&name)?, text(&value)?)))
            .collect::<Result<_>>()?,
        directory: text(env::current_dir()?.as_os_str())?,
        status: of_self("status")?,
        limits: of_self("limits")?,
        oom_score_adj: of_self("oom_score_adj")?.trim().parse()?,
    };
    let message = serde_json::to_vec(&request)?;
    let descriptors: Vec<RawFd> = (0..STREAMS + held()?).collect();
    let connection = connected(path, limit)
        .with_context(|| format!("the fork server at {} cannot be reached", path.display()))?;
    let passed = [ControlMessage::ScmRights(&descriptors)];
    let content = [IoSlice::new(&message)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(connection.as_raw_fd(), &content, &passed, flags, None)
        .context("the fork server does not accept the request")?;
    let mut answer = [0; ANSWER];
    let length = recv(connection.as_raw_fd(), &mut answer, MsgFlags::empty())
        .context("the fork server does not answer")?;
    let answer = String::from_utf8_lossy(&answer[..length]);
    match answer.split_once(' ') {
        Some(("pid", pid)) => Ok(Forked {
            connection,
            pid: pid.parse()?,
        }),
        Some(("no", reason)) => bail!("the fork server refuses: {reason}"),
        _ => bail!("the fork server gave no process"),
    }
}

fn connected(path: &Path, limit: Duration) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let connection = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
    let limit = TimeVal::new(i64::try_from(limit.as_secs())?, 0);
    // These limits apply to connect(2) as well.
    setsockopt(&connection, SendTimeout, &limit)?;
    setsockopt(&connection, ReceiveTimeout, &limit)?;
    connect(connection.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(connection)
}

/// The number of held sockets.
fn held() -> Result<RawFd> {
    let own = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    match env::var("LISTEN_FDS") {
        Ok(count) if own => Ok(count.parse()?),
        _ => Ok(0),
    }
}

fn of_self(name: &str) -> Result<String> {
    let contents = files::of_process(std::process::id(), name);
    let contents = contents.with_context(|| format!("/proc/self/{name} is unreadable"))?;
    Ok(String::from_utf8_lossy(&contents).into_owned())
}

fn text(word: &OsStr) -> Result<String> {
    let text = word.to_str().map(str::to_owned);
    ensure!(text.is_some(), "an argument or variable is not UTF-8");
    Ok(text.unwrap_or_default())
}
