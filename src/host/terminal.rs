//! Secrets that a person types.

use crate::report::complain;
use anyhow::{Context, Result};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Stdin, stdin};

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet {
    terminal: Stdin,
    before: Termios,
}

impl Quiet {
    fn new(terminal: Stdin) -> nix::Result<Self> {
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_flags.remove(LocalFlags::ECHO);
        quiet.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// Reads one line: from a terminal after this question and without an echo, or else from standard input.
///
/// # Errors
/// When there is no line, or when the terminal cannot be set.
pub fn secret(question: &str) -> Result<String> {
    let quiet = match stdin().is_terminal() {
        true => {
            complain(question);
            Some(Quiet::new(stdin()).context("cannot turn off the echo of the terminal")?)
        }
        false => None,
    };
    let mut line = String::new();
    stdin()
        .read_line(&mut line)
        .context("cannot read standard input")?;
    drop(quiet);
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
