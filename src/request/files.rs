//! Paths below `--root`, and files that the administrator writes.

use crate::cli::Common;
use crate::failure::{Code, Failure};
use crate::host;
use crate::state::paths;
use std::path::{Path, PathBuf};

/// A path below `--root`, if that flag is set.
pub fn rooted(common: &Common, path: &str) -> PathBuf {
    match &common.root {
        Some(root) => root.join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}

/// The path that [`rooted`] turned into this one.
pub(super) fn unrooted(common: &Common, path: &Path) -> String {
    let root = common.root.as_deref().unwrap_or(Path::new("/"));
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    match path.strip_prefix(&root) {
        Ok(rest) => format!("/{}", rest.display()),
        Err(_) => path.display().to_string(),
    }
}

/// The settings file, below `--root` unless `--settings` names another one.
pub(super) fn settings_path(common: &Common) -> PathBuf {
    if common.settings == Path::new(paths::SETTINGS) {
        rooted(common, paths::SETTINGS)
    } else {
        common.settings.clone()
    }
}

/// Reads a file that the administrator writes.
///
/// # Errors
/// When it cannot be read as text.
pub(super) fn read(path: &Path) -> Result<Option<String>, Failure> {
    host::read_text(path).map_err(|error| Failure::from(error).ending(Code::Usage))
}
