//! Progress: a line for each step as it happens, with its seconds. Nothing is redrawn, so a terminal, a journal and a
//! log of CI show the same. A terminal that went away (a lost ssh connection) does not end the work.

use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant};

/// A line on standard error. One that cannot be written is lost, and ends nothing: the terminal may be gone while the
/// host is on its way back.
pub fn complain(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints to standard output; says nothing where a command prints JSON.
pub struct Report {
    begun: Instant,
    quiet: bool,
}

impl Report {
    pub fn new(quiet: bool) -> Self {
        Self {
            begun: Instant::now(),
            quiet,
        }
    }

    /// A line.
    pub fn say(&self, text: impl Display) {
        self.print(&format!("{text}\n"));
    }

    /// Does something under a line that says what, and ends the line with the seconds it took.
    pub fn step<T, E>(
        &self,
        text: impl Display,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let text = text.to_string();
        self.print(&text);
        let begun = Instant::now();
        let result = work();
        let mark = if result.is_ok() { "" } else { "FAILED after " };
        let gap = if text.contains('\n') {
            "\n          "
        } else {
            "  "
        };
        self.print(&format!("{gap}{mark}{}\n", seconds(begun.elapsed())));
        result
    }

    /// Seconds since the command began.
    pub fn elapsed(&self) -> String {
        seconds(self.begun.elapsed())
    }

    fn print(&self, text: &str) {
        if !self.quiet {
            let mut out = std::io::stdout();
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
