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

/// Standard output, for what a command is asked for. Where it cannot be written, as when it is closed or a disk is full, the
/// text is lost, and nothing ends because of it.
pub fn write(text: impl Display) {
    let mut out = std::io::stdout();
    let _ = write!(out, "{text}").and_then(|()| out.flush());
}

/// As `print!`, by [`write`].
macro_rules! out {
    ($($text:tt)*) => { $crate::report::write(format_args!($($text)*)) };
}

/// As `println!`, by [`write`].
macro_rules! outln {
    () => { $crate::report::write("\n") };
    ($($text:tt)*) => { $crate::report::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {out, outln};

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
            write(text);
        }
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
