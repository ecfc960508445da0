//! The password of a user: typed twice without echo, read from standard input, or generated.

use crate::failure::Failure;
use crate::host::matrix_accounts::generated_password;
use crate::host::typed_secret;
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
    let text = typed_secret(&format!("Password of {user}:"))?;
    if std::io::stdin().is_terminal() && typed_secret("The same again:")? != text {
        return Err(Failure::usage("the two passwords differ"));
    }
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
