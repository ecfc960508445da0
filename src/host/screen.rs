//! A terminal that a program fills: without echo, line by line redrawn, and restored afterwards.
//!
//! One screen of lines needs no library: those for terminal user interfaces would add forty crates, a second version of
//! one of them, and a licence, which `deny.toml` refuses. The sequences are those of ECMA-48 and xterm, which every
//! terminal understands that ssh offers today.

use anyhow::{Context, Result};
use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use std::io::{Read, Stdin, Write, stdin, stdout};
use terminal_size::{Height, Width, terminal_size};

/// Shows the alternate screen, which keeps what the terminal showed before, and hides the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
/// Returns to what the terminal showed before.
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// Moves to the first line.
const HOME: &str = "\x1b[H";
/// Erases the rest of a line.
const REST_OF_LINE: &str = "\x1b[K";
/// Erases all lines below.
const REST: &str = "\x1b[J";
/// The time that a read waits for a key, in tenths of a second.
const WAIT: u8 = 2;
/// The size of a terminal that does not report one.
const DEFAULT: (usize, usize) = (80, 24);

/// The terminal of standard input and output, until this is dropped. A panic drops it as well.
pub struct Screen {
    terminal: Stdin,
    before: Termios,
}

impl Screen {
    /// Takes the terminal. Ctrl-C still sends SIGINT.
    ///
    /// # Errors
    /// When standard input is no terminal, or the terminal cannot be set.
    pub fn new() -> Result<Self> {
        let terminal = stdin();
        let before = tcgetattr(&terminal).context("standard input is not a terminal")?;
        let mut raw = before.clone();
        raw.local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ICANON);
        raw.input_flags.remove(InputFlags::ICRNL);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = WAIT;
        // Ctrl-Z would leave the alternate screen to the shell.
        raw.control_chars[SpecialCharacterIndices::VSUSP as usize] = 0;
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &raw).context("cannot set the terminal")?;
        let screen = Self { terminal, before };
        screen.write(ENTER)?;
        Ok(screen)
    }

    /// The number of columns and lines.
    pub fn size(&self) -> (usize, usize) {
        match terminal_size() {
            Some((Width(columns @ 1..), Height(lines @ 1..))) => (columns.into(), lines.into()),
            _ => DEFAULT,
        }
    }

    /// The bytes of a key; empty if none was pressed for a fifth of a second.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn key(&self) -> Result<Vec<u8>> {
        let mut bytes = [0; 16];
        match self.terminal.lock().read(&mut bytes) {
            Ok(count) => Ok(bytes[..count].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(Vec::new()),
            Err(error) => Err(error).context("cannot read the terminal"),
        }
    }

    /// Shows these lines, and nothing else.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&self, lines: &[String]) -> Result<()> {
        let mut text = HOME.to_owned();
        let shown: Vec<String> = lines
            .iter()
            .map(|line| format!("{line}{REST_OF_LINE}"))
            .collect();
        text.push_str(&shown.join("\r\n"));
        text.push_str(REST);
        self.write(&text)
    }

    fn write(&self, text: &str) -> Result<()> {
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .context("cannot write to the terminal")
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.write(LEAVE);
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}
