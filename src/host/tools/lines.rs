//! The lines of a program's output, as the progress of the step that runs it.

use crate::status_line::progress;
use std::io::{Read, Result};

/// The bytes of a line that are shown at most.
const LONGEST: usize = 200;

/// A stream whose lines are shown while it is read.
pub(super) struct Lines<R> {
    stream: R,
    /// The beginning of the line that has no end yet; `None` if nothing is shown.
    line: Option<Vec<u8>>,
}

impl<R: Read> Lines<R> {
    /// A stream whose lines are shown if it is `followed`.
    pub fn new(stream: R, followed: bool) -> Self {
        let line = followed.then(Vec::new);
        Self { stream, line }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.stream.read(buffer)?;
        if let Some(line) = &mut self.line {
            for byte in &buffer[..length] {
                match byte {
                    b'\n' | b'\r' if line.is_empty() => {}
                    b'\n' | b'\r' => {
                        progress(String::from_utf8_lossy(line));
                        line.clear();
                    }
                    byte if line.len() < LONGEST => line.push(*byte),
                    _ => {}
                }
            }
        }
        Ok(length)
    }
}
