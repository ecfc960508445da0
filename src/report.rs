//! Progress output: one line for each step as it happens, with its duration in seconds. A terminal also shows the status
//! of a step while it runs; afterwards a terminal, a journal and a CI log show the same. A terminal that is closed (a lost
//! ssh connection) does not interrupt the run.

use crate::status_line::{self, Running};
use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Prints a line to standard error. A line that cannot be written is lost without an error, because the terminal may be
/// gone while the host is being rolled back.
pub fn complain(text: impl Display) {
    status_line::hide();
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints the output of a command to standard output. Text that cannot be written, for example because standard output
/// is closed or a disk is full, is lost without an error.
pub fn write(text: impl Display) {
    status_line::hide();
    let mut out = std::io::stdout();
    if write!(out, "{text}").and_then(|()| out.flush()).is_err() {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Whether text was lost because standard output does not take it any more.
pub fn is_closed() -> bool {
    CLOSED.load(Ordering::Relaxed)
}

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Like `print!`, through [`write()`].
macro_rules! out {
    ($($text:tt)*) => { $crate::report::write(format_args!($($text)*)) };
}

/// Like `println!`, through [`write()`].
macro_rules! outln {
    () => { $crate::report::write("\n") };
    ($($text:tt)*) => { $crate::report::write(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {out, outln};

/// Prints to standard output and standard error; prints nothing to standard output if the command prints JSON.
pub struct Report {
    started: Instant,
    /// Whether a long step has a status line.
    at_terminal: bool,
    out: Sink,
    err: Sink,
}

type Sink = Box<dyn Fn(&str)>;

impl Report {
    /// Starts the clock of [`Report::elapsed`]. With `quiet`, as for `--json`, nothing goes to standard output.
    pub fn new(quiet: bool) -> Self {
        Self {
            started: Instant::now(),
            at_terminal: !quiet && status_line::is_possible(),
            out: match quiet {
                true => Box::new(|_| ()),
                false => Box::new(|text| write(text)),
            },
            err: Box::new(|text| complain(text)),
        }
    }

    /// Sends everything that a terminal would show to `print`.
    pub fn into(print: impl Fn(&str) + Clone + 'static) -> Self {
        let err = print.clone();
        Self {
            started: Instant::now(),
            at_terminal: false,
            out: Box::new(print),
            err: Box::new(move |text| err(&format!("{text}\n"))),
        }
    }

    /// Prints a line to standard error, like [`complain`].
    pub fn complain(&self, text: impl Display) {
        (self.err)(&text.to_string());
    }

    /// Prints a line to standard output.
    pub fn say(&self, text: impl Display) {
        (self.out)(&format!("{text}\n"));
    }

    /// Prints a line that describes `work`, does the work, and completes the line with the seconds it took. At a terminal,
    /// `status_line::progress` changes the line meanwhile.
    ///
    /// # Errors
    /// The error of `work`.
    pub fn step<T, E>(
        &self,
        text: impl Display,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let text = text.to_string();
        (self.out)(&text);
        let started = Instant::now();
        let status = self.at_terminal.then(|| Running::new(&text));
        let result = work();
        let prefix = status.and_then(Running::end);
        self.end(&text, prefix, started.elapsed(), result.is_ok());
        result
    }

    /// Prints the line of work that has ended on another host.
    pub fn ended(&self, text: &str, time: Duration, succeeded: bool) {
        (self.out)(text);
        self.end(text, None, time, succeeded);
    }

    /// Completes the line of a step.
    fn end(&self, text: &str, prefix: Option<String>, time: Duration, succeeded: bool) {
        let mark = if succeeded { "" } else { "FAILED after " };
        let gap = match prefix {
            Some(prefix) => prefix,
            None if text.contains('\n') => "\n          ".to_owned(),
            None => "  ".to_owned(),
        };
        (self.out)(&format!("{gap}{mark}{}\n", seconds(time)));
    }

    /// The seconds since the command started.
    pub fn elapsed(&self) -> String {
        seconds(self.started.elapsed())
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}
