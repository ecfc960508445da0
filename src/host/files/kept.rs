//! Backups of files in memory.

use super::read;
use super::write::{Access, write};
use anyhow::{Context, Result};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The contents, ownership, permissions and modification time of a file.
pub struct Kept {
    path: PathBuf,
    contents: Vec<u8>,
    access: Access,
    modified: SystemTime,
}

/// Reads a file into memory; `None` if it does not exist.
///
/// # Errors
/// When the path is no regular file, cannot be read, or contains a link that another account could have placed.
pub fn keep(path: impl AsRef<Path>) -> Result<Option<Kept>> {
    let path = path.as_ref();
    let keep = || -> Result<Option<Kept>> {
        let Some((mut file, status)) = read::open(path)? else {
            return Ok(None);
        };
        let mut contents = Vec::new();
        file.read_to_end(&mut contents)?;
        let seconds = Duration::from_secs(u64::try_from(status.st_mtime).unwrap_or_default());
        let rest = Duration::from_nanos(u64::try_from(status.st_mtime_nsec).unwrap_or_default());
        Ok(Some(Kept {
            path: path.to_owned(),
            contents,
            access: Access::numbers(status.st_uid, status.st_gid, status.st_mode & 0o7777),
            modified: UNIX_EPOCH + seconds + rest,
        }))
    };
    keep().with_context(|| format!("cannot read {}", path.display()))
}

impl Kept {
    /// Restores the file with its ownership and permissions. If a process may have `read` the replaced contents, the
    /// file gets a new modification time, so that the process counts as stale.
    ///
    /// # Errors
    /// As for [`replace`](super::replace).
    pub fn put_back(&self, read: bool) -> Result<()> {
        let modified = (!read).then_some(self.modified);
        write(&self.path, &self.contents, self.access, modified)
    }
}
