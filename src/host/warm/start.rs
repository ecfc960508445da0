//! The sequence of a warm start. Until systemd has accepted the forked process, each failure leads to a plain start.

use super::notify::Notifier;
use super::request::{Forked, request};
use super::unit::Manager;
use crate::host::tools;
use anyhow::{Context, Result, anyhow, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The time that the fork server has. A fork takes some hundredths of a second, but on a host that boots many units
/// start at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time for everything that precedes the change of the main process, and again for its confirmation.
const LIMIT: Duration = Duration::from_secs(15);

/// What a unit starts, and where.
#[derive(Clone)]
pub struct Start {
    /// The socket of the fork server.
    pub socket: PathBuf,
    /// The unit of the fork server.
    pub server: String,
    /// The unit that this process belongs to.
    pub unit: String,
    /// The command line of the plain start.
    pub command: Vec<OsString>,
}

/// How a warm start ended.
pub enum Outcome {
    /// The forked process is the main process of the unit.
    Started,
    /// No other process runs for the unit, for this reason.
    Refused(anyhow::Error),
    /// systemd may have accepted the forked process, which has ended or will end.
    Lost(anyhow::Error),
}

/// Asks the fork server for a process and makes it the main process of the unit.
pub fn start(start: &Start) -> Outcome {
    let forked = match prepared(start.clone()) {
        Ok(forked) => forked,
        Err(reason) => return Outcome::Refused(reason),
    };
    let notified = Notifier::new().and_then(|notifier| {
        notifier.send(&format!("MAINPID={}", forked.pid))?;
        notifier.wait_until_processed(LIMIT)
    });
    let unit = start.unit.clone();
    let main = within(LIMIT, move || Manager::connect()?.main_process(&unit));
    match main {
        Ok(main) if main == forked.pid => match forked.release() {
            Ok(()) => Outcome::Started,
            Err(error) => Outcome::Lost(error),
        },
        Ok(_) => Outcome::Refused(match notified {
            Ok(()) => anyhow!("systemd did not accept process {}", forked.pid),
            Err(error) => error,
        }),
        Err(error) => Outcome::Lost(error),
    }
}

/// A forked process in the control group of the unit.
fn prepared(start: Start) -> Result<Forked> {
    within(LIMIT, move || {
        let manager = Manager::connect()?;
        manager.require_active(&start.server)?;
        manager.compare(&start.unit, &start.server, &start.socket)?;
        let forked = request(&start.socket, &start.command, PATIENCE)?;
        manager.attach(&start.unit, forked.pid)?;
        Ok(forked)
    })
}

/// The result of a function that may wait for other programs. If it takes longer than the limit, it is left alone: this
/// process ends soon or runs another program.
fn within<T: Send + 'static>(
    limit: Duration,
    function: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, result) = channel();
    std::thread::spawn(move || sender.send(function()));
    match result.recv_timeout(limit) {
        Ok(result) => result,
        Err(_) => bail!("no answer within {} s", limit.as_secs()),
    }
}

/// Replaces this process by the plain start. Returns only if that fails.
pub fn plain(start: &Start) -> anyhow::Error {
    match start.command.split_first() {
        Some((program, arguments)) => tools::become_program(program, arguments),
        None => anyhow!("the command line names no program"),
    }
}

impl Start {
    /// Reads the command line `SOCKET SERVER UNIT PROGRAM ARGUMENT…`.
    ///
    /// # Errors
    /// If an argument is missing.
    pub fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Self> {
        let mut next = |name: &str| words.next().with_context(|| format!("{name} is missing"));
        let socket = PathBuf::from(next("the socket")?);
        let text = |word: OsString| word.to_string_lossy().into_owned();
        let server = text(next("the unit of the fork server")?);
        let unit = text(next("the unit")?);
        let command = [next("the program")?];
        Ok(Self {
            socket,
            server,
            unit,
            command: command.into_iter().chain(words).collect(),
        })
    }
}
