//! A program that answers each line of its input with a line, such as the agent on another host.

use super::output::{Output, tail};
use super::tool::Tool;
use anyhow::{Context, Error, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Limit on an answer, in bytes. The plan of a host with a hundred workers has some 100 KiB.
const LARGEST: u64 = 8 << 20;
/// The lines of standard error that an error contains.
const LINES: usize = 6;

/// The interval of the empty lines by which the program knows that the connection lasts.
const SIGN: Duration = Duration::from_secs(5);

/// The input of the program; `None` when it is closed.
type Input = Mutex<Option<ChildStdin>>;

/// A running program that answers. It runs until it is dropped.
pub struct Dialogue {
    name: String,
    child: Child,
    input: Arc<Input>,
    output: BufReader<ChildStdout>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Tool {
    /// Starts the program for a dialogue. It has no timeout.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn converse(self) -> Result<Dialogue> {
        let mut child = self.start(Stdio::piped())?;
        let output = child.stdout.take().context("a pipe is missing")?;
        let errors = child.stderr.take();
        let input = Arc::new(Mutex::new(child.stdin.take()));
        let signs = Arc::downgrade(&input);
        std::thread::spawn(move || give_signs(&signs));
        Ok(Dialogue {
            name: self.name().to_owned(),
            input,
            output: BufReader::new(output),
            errors: errors.map(|errors| std::thread::spawn(|| collect(errors))),
            child,
        })
    }
}

/// Reads standard error to its end.
pub(super) fn collect(errors: ChildStderr) -> Vec<u8> {
    let mut text = Vec::new();
    // Text from before an error counts.
    let _ = errors.take(LARGEST).read_to_end(&mut text);
    text
}

/// Writes empty lines as long as the input is open.
fn give_signs(input: &Weak<Input>) {
    loop {
        std::thread::sleep(SIGN);
        let Some(input) = input.upgrade() else {
            return;
        };
        if write(&input, "\n").is_none() {
            return;
        }
    }
}

/// Writes to an input; `None` if it is closed, or if the program has ended.
fn write(input: &Input, text: &str) -> Option<()> {
    let mut input = input.lock().unwrap_or_else(PoisonError::into_inner);
    let input = input.as_mut()?;
    input.write_all(text.as_bytes()).ok()?;
    input.flush().ok()
}

impl Dialogue {
    /// Sends a question, and waits for the answer. Both are JSON.
    ///
    /// # Errors
    /// When the program has ended, with its last words, or when the answer has another form.
    pub fn ask<T: DeserializeOwned>(&mut self, question: &impl Serialize) -> Result<T> {
        let line = serde_json::to_string(question)? + "\n";
        let sent = write(&self.input, &line);
        let mut answer = String::new();
        // An error of writing means that the program has ended, which its output says as well.
        let read = (&mut self.output).take(LARGEST).read_line(&mut answer);
        if sent.is_none() || !matches!(read, Ok(1..)) || !answer.ends_with('\n') {
            return Err(self.ended());
        }
        serde_json::from_str(&answer)
            .with_context(|| format!("{}: an answer that is not understood", self.name))
    }

    fn close(&self) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The error of a program that has ended.
    fn ended(&mut self) -> Error {
        self.close();
        let Ok(status) = self.child.wait() else {
            return anyhow!("{} has ended", self.name);
        };
        let stderr = self.errors.take().and_then(|reading| reading.join().ok());
        let output = Output {
            status,
            stdout: Vec::new(),
            stderr: stderr.unwrap_or_default(),
        };
        anyhow!(
            "{} has ended ({status})\n{}",
            self.name,
            tail(&output, LINES)
        )
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.close();
        let _ = self.child.wait();
    }
}
