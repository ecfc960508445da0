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

/// As `print!`, by [`write()`].
macro_rules! out {
    ($($text:tt)*) => { $crate::report::write(format_args!($($text)*)) };
}

/// As `println!`, by [`write()`].
macro_rules! outln {
    () => { $crate::report::write("\n") };
    ($($text:tt)*) => { $crate::report::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {out, outln};

/// Prints to standard output and standard error; says nothing on the former where a command prints JSON.
pub struct Report {
    begun: Instant,
    out: Sink,
    err: Sink,
}

type Sink = Box<dyn Fn(&str)>;

impl Report {
    pub fn new(quiet: bool) -> Self {
        Self {
            begun: Instant::now(),
            out: match quiet {
                true => Box::new(|_| ()),
                false => Box::new(|text| write(text)),
            },
            err: Box::new(|text| complain(text)),
        }
    }

    /// All that a terminal would show goes to `print`.
    pub fn into(print: impl Fn(&str) + Clone + 'static) -> Self {
        let err = print.clone();
        Self {
            begun: Instant::now(),
            out: Box::new(print),
            err: Box::new(move |text| err(&format!("{text}\n"))),
        }
    }

    /// A line on standard error, as by [`complain`].
    pub fn complain(&self, text: impl Display) {
        (self.err)(&text.to_string());
    }

    /// A line.
    pub fn say(&self, text: impl Display) {
        (self.out)(&format!("{text}\n"));
    }

    /// Does something under a line that says what, and ends the line with the seconds it took.
    pub fn step<T, E>(
        &self,
        text: impl Display,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let text = text.to_string();
        (self.out)(&text);
        let begun = Instant::now();
        let result = work();
        let mark = if result.is_ok() { "" } else { "FAILED after " };
        let gap = if text.contains('\n') {
            "\n          "
        } else {
            "  "
        };
        (self.out)(&format!("{gap}{mark}{}\n", seconds(begun.elapsed())));
        result
    }

    /// Seconds since the command began.
    pub fn elapsed(&self) -> String {
        seconds(self.begun.elapsed())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
