//! The input of an agent: lines of the first host, which gives a sign every few seconds as long as the connection lasts.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{BufRead, BufReader, Result, Stdin, stdin};
use std::os::fd::AsFd;

/// The time without a sign, in milliseconds, after which the connection counts as lost. sshd itself may wait for hours.
const SILENCE: u16 = 20_000;

/// The lines that are not empty, until the connection is closed or lost.
pub struct Calls {
    input: BufReader<Stdin>,
}

impl Calls {
    /// The lines of standard input.
    pub fn new() -> Self {
        Self {
            input: BufReader::new(stdin()),
        }
    }

    fn is_silent(&self) -> bool {
        if !self.input.buffer().is_empty() {
            return false;
        }
        let stdin = stdin();
        let mut waiting = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut waiting, PollTimeout::from(SILENCE)), Ok(0))
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for Calls {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.is_silent() {
                return None;
            }
            let mut line = String::new();
            match self.input.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim().is_empty() => {}
                Ok(_) => return Some(Ok(line)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
