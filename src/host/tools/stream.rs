//! A program whose input is written, or whose output is read, while it runs: more bytes than memory should hold.

use super::dialogue::collect;
use super::output::{Output, tail};
use super::tool::Tool;
use anyhow::{Context, Result, bail};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::thread::JoinHandle;

/// The lines of standard error that an error contains.
const LINES: usize = 6;

/// A running program. It is killed when it is dropped before its end.
pub struct Stream {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Tool {
    /// Starts the program. It has no timeout.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn stream(self) -> Result<Stream> {
        let mut child = self.start(Stdio::piped())?;
        let errors = child.stderr.take();
        Ok(Stream {
            name: self.name().to_owned(),
            input: child.stdin.take(),
            output: child.stdout.take(),
            errors: errors.map(|errors| std::thread::spawn(|| collect(errors))),
            child,
        })
    }
}

impl Stream {
    /// The next bytes of its output: this number of them, or fewer at the end.
    ///
    /// # Errors
    /// When the output cannot be read.
    pub fn read(&mut self, number: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let output = self.output.as_mut().context("a pipe is missing")?;
        let read = output.take(number).read_to_end(&mut bytes);
        read.with_context(|| format!("reading from {}", self.name))?;
        Ok(bytes)
    }

    /// Writes to its input.
    ///
    /// # Errors
    /// When the program has ended, with its last words.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let input = self.input.as_mut().context("a pipe is missing")?;
        match input.write_all(bytes) {
            Ok(()) => Ok(()),
            Err(_) => self.end(),
        }
    }

    /// Closes its input, and waits for its end.
    ///
    /// # Errors
    /// When it fails, with its last words.
    pub fn finish(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        drop(self.input.take());
        drop(self.output.take());
        let status = self.child.wait();
        let status = status.with_context(|| format!("waiting for {}", self.name))?;
        let stderr = self.errors.take().and_then(|reading| reading.join().ok());
        let output = Output {
            status,
            stdout: Vec::new(),
            stderr: stderr.unwrap_or_default(),
        };
        if !status.success() {
            bail!("{} failed ({status})\n{}", self.name, tail(&output, LINES));
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // One that has ended is not there any more, which is no error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
