//! The status of a long step at a terminal, in one line that is rewritten: the seconds so far, and what the step is
//! doing. The line is drawn only after a second, and only if its text has changed. No mode of the terminal changes, so
//! nothing has to be restored if this program ends.

use crate::printable::printable;
use std::fmt::Display;
use std::io::{IsTerminal, Write, stdout};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use terminal_size::{Width, terminal_size};

/// The line of the step that runs. There is one, as there is one terminal.
static LINE: Mutex<Option<StatusLine>> = Mutex::new(None);

/// Steps that take less time have no status.
const QUICK: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(200);
/// The columns of a terminal that does not say how many it has.
const COLUMNS: usize = 80;
/// The columns that the text of a step leaves for its status, or else that is drawn below.
const ROOM: usize = 30;
/// The indentation of a status below its step.
const BELOW: &str = "          ";
/// Returns to the first column and deletes the line (ECMA-48, CR and EL).
const CLEAR: &str = "\r\x1b[K";

/// Says what the step that runs is doing, such as `12 of 20 ready`. It has an effect at a terminal only.
pub(crate) fn progress(text: impl Display) {
    if let Some(line) = line().as_mut() {
        line.detail = printable(text.to_string().trim());
    }
}

/// Removes a status from the terminal, so that other text can be printed. The next drawing brings it back.
pub(crate) fn hide() {
    if let Some(line) = line().as_mut() {
        line.hide(&mut stdout());
    }
}

/// Whether standard output is a terminal that can rewrite a line.
pub(crate) fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    !dumb && stdout().is_terminal()
}

fn line() -> MutexGuard<'static, Option<StatusLine>> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A step that runs; its status is drawn until this ends.
pub(crate) struct Running {
    _end: Sender<()>,
}

impl Running {
    /// The status of a step whose text has been printed.
    pub fn new(text: &str) -> Self {
        *line() = Some(StatusLine::new(text, columns()));
        let (end, ended) = channel();
        std::thread::spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                if let Some(line) = line().as_mut() {
                    line.draw(&mut stdout(), columns());
                }
            }
        });
        Self { _end: end }
    }

    /// Removes the status. Returns what precedes the duration of the step, if the text of the step has to be printed again
    /// or its duration belongs below.
    pub fn end(self) -> Option<String> {
        let line = line().take();
        line.and_then(|line| line.end(&mut stdout()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut line) = line().take() {
            line.hide(&mut stdout());
        }
    }
}

fn columns() -> usize {
    let size = terminal_size();
    size.map_or(COLUMNS, |(Width(columns), _)| usize::from(columns))
}

/// The status of one step.
struct StatusLine {
    /// What precedes the status: the text of the step, or an indentation.
    prefix: String,
    /// Whether the status is drawn below the text of the step.
    is_below: bool,
    started: Instant,
    detail: String,
    /// What the terminal shows; empty if nothing is drawn.
    shown: String,
    /// Whether it was drawn before.
    was_drawn: bool,
}

impl StatusLine {
    fn new(text: &str, columns: usize) -> Self {
        let is_below = text.contains('\n') || text.chars().count() + ROOM > columns;
        Self {
            prefix: match is_below {
                true => BELOW.to_owned(),
                false => format!("{text}  "),
            },
            is_below,
            started: Instant::now(),
            detail: String::new(),
            shown: String::new(),
            was_drawn: false,
        }
    }

    fn draw(&mut self, out: &mut impl Write, columns: usize) {
        let elapsed = self.started.elapsed();
        if elapsed >= QUICK {
            self.draw_at(elapsed.as_secs(), out, columns);
        }
    }

    fn draw_at(&mut self, seconds: u64, out: &mut impl Write, columns: usize) {
        let detail = match self.detail.as_str() {
            "" => String::new(),
            detail => format!(": {detail}"),
        };
        let text = format!("{}{seconds} s{detail}", self.prefix);
        // A full line would move the cursor to the next one.
        let text: String = text.chars().take(columns.saturating_sub(1)).collect();
        if text == self.shown {
            return;
        }
        let opening = match self.is_below && !self.was_drawn {
            true => "\n",
            false => "",
        };
        let _ = write!(out, "{opening}{CLEAR}{text}").and_then(|()| out.flush());
        self.shown = text;
        self.was_drawn = true;
    }

    fn hide(&mut self, out: &mut impl Write) {
        if !self.shown.is_empty() {
            self.shown.clear();
            let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
        }
    }

    fn end(mut self, out: &mut impl Write) -> Option<String> {
        self.hide(out);
        self.was_drawn.then_some(self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a terminal shows after these bytes.
    fn screen(bytes: &[u8]) -> Vec<String> {
        let mut lines = vec![String::new()];
        let text = String::from_utf8_lossy(bytes).replace(CLEAR, "\u{1}");
        for letter in text.chars() {
            match letter {
                '\n' => lines.push(String::new()),
                '\u{1}' => lines.last_mut().unwrap().clear(),
                letter => lines.last_mut().unwrap().push(letter),
            }
        }
        lines
    }

    #[test]
    fn a_status_follows_the_text_of_its_step_and_leaves_no_trace() {
        let mut out = b"! start   x.service".to_vec();
        let mut line = StatusLine::new("! start   x.service", 80);
        line.draw_at(1, &mut out, 80);
        line.detail = "1 of 2 ready".to_owned();
        line.draw_at(2, &mut out, 80);
        let drawn = out.len();
        line.draw_at(2, &mut out, 80);
        assert_eq!(out.len(), drawn, "the same text is drawn once");
        assert_eq!(screen(&out), ["! start   x.service  2 s: 1 of 2 ready"]);
        let prefix = line.end(&mut out).unwrap();
        out.extend(format!("{prefix}2.50 s\n").bytes());
        assert_eq!(screen(&out), ["! start   x.service  2.50 s", ""]);
    }

    #[test]
    fn the_status_of_a_long_text_is_below_it_and_is_cut_at_the_edge() {
        let text = format!("! start   {}", "x.service ".repeat(9));
        let mut out = text.clone().into_bytes();
        let mut line = StatusLine::new(&text, 80);
        line.detail = "y".repeat(100);
        line.draw_at(1, &mut out, 80);
        assert_eq!(screen(&out)[1].len(), 79);
        line.hide(&mut out);
        line.detail = "ready".to_owned();
        line.draw_at(3, &mut out, 80);
        assert_eq!(screen(&out), [text.as_str(), "          3 s: ready"]);
        assert_eq!(line.end(&mut out).as_deref(), Some(BELOW));
    }

    #[test]
    fn a_quick_step_has_no_status() {
        let mut out = Vec::new();
        let mut line = StatusLine::new("x", 80);
        line.draw(&mut out, 80);
        assert!(line.end(&mut out).is_none());
        assert!(out.is_empty());
    }
}
