//! Finding a program that root may run.

use crate::host::files;
use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// The search path for programs, independent of the environment. `sudo` and cron sometimes leave out the directories of
/// the administrator's programs, and a directory that was added may contain any program.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path of a program that only root can replace.
///
/// # Errors
/// When the program is missing, or another account could replace it.
pub fn find(program: impl AsRef<Path>) -> Result<PathBuf> {
    let program = program.as_ref();
    let found = which::which_in_all(program, Some(PATH), "/")
        .into_iter()
        .flatten();
    let mut other = None;
    for path in found {
        if files::only_root_can_replace(&path) {
            return Ok(path);
        }
        other.get_or_insert(path);
    }
    match other {
        Some(path) => bail!(
            "{} is a program that an account other than root could replace, so root does not run it",
            path.display()
        ),
        None => bail!("there is no such program"),
    }
}
