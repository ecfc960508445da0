//! The password of a user: typed twice without echo, read from standard input, or generated.

use crate::failure::Failure;
use crate::host::matrix_accounts::generated_password;
use anyhow::Context;
use std::io::IsTerminal;

/// The maximum length in characters (Synapse, rest/admin/users.py).
const LONGEST: usize = 512;

/// A password in clear text.
#[derive(Default)]
pub(super) struct Password {
    /// The password.
    pub text: String,
    /// Whether this program generated it, so that nothing else shows it.
    pub generated: bool,
}

/// The password for a user.
///
/// # Errors
/// When the two typed passwords differ, or the password is empty or too long.
pub(super) fn read(user: &str, generate: bool) -> Result<Password, Failure> {
    if generate {
        return Ok(Password {
            text: generated_password()?,
            generated: true,
        });
    }
    let text = if std::io::stdin().is_terminal() {
        let prompt =
            |text: String| rpassword::prompt_password(text).context("reading the password");
        let typed = prompt(format!("Password of {user}: "))?;
        if typed != prompt("The same again: ".to_owned())? {
            return Err(Failure::usage("the two passwords differ"));
        }
        typed
    } else {
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        read.context("reading the password from standard input")?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    let length = text.chars().count();
    if length == 0 || length > LONGEST || text.contains('\0') {
        return Err(Failure::usage(format!(
            "the password has {length} characters; allowed are 1 to {LONGEST}, without NUL"
        ))
        .help(
            "type it at the prompt, pass it as the first line of standard input, or use --generate",
        ));
    }
    Ok(Password {
        text,
        generated: false,
    })
}
