//! A directory for the length of one task, in memory and closed to others, where root can have that.

use super::{Access, directory, remove_tree};
use crate::failure::Failure;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed when it is dropped.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A directory with this mode. Below /run, which is never written to a disk, or where systemd has given the service a
    /// directory of its own there; for a user who is not root, where temporary files are.
    pub fn new(mode: u32) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let given = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        let run = || match nix::unistd::geteuid().is_root() {
            true => PathBuf::from("/run"),
            false => std::env::temp_dir(),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("synapse-workers-scratch.{}.{number}", std::process::id());
        let path = given.unwrap_or_else(run).join(name);
        // Of a process of the same number that was killed.
        let made = remove_tree(&path).and_then(|()| directory(&path, Access::from(mode)));
        made.map_err(|error| {
            let place = path.parent().unwrap_or(&path).display();
            Failure::failed(format!("no place for temporary files: {error:#}")).help(format!(
                "make {place} a directory with room that this user may write to, or set TMPDIR to one"
            ))
        })?;
        Ok(Self { path })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a name in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_tree(&self.path);
    }
}
