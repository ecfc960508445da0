//! A temporary directory for one task. For root it is in memory and closed to other accounts.

use super::{Access, directory, remove_tree};
use crate::failure::Failure;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A temporary directory. It is removed when it is dropped.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates a directory with this mode: in the runtime directory that systemd created for the service, or else below
    /// /run, which is in memory. For a user other than root, it is created in the directory for temporary files.
    pub fn new(mode: u32) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let runtime = std::env::var_os("RUNTIME_DIRECTORY").map(PathBuf::from);
        let run = || match nix::unistd::geteuid().is_root() {
            true => PathBuf::from("/run"),
            false => std::env::temp_dir(),
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("synapse-workers-scratch.{}.{number}", std::process::id());
        let path = runtime.unwrap_or_else(run).join(name);
        // A killed process with the same number may have left one.
        let created = remove_tree(&path).and_then(|()| directory(&path, Access::from(mode)));
        created.map_err(|error| {
            let place = path.parent().unwrap_or(&path).display();
            Failure::failed(format!("cannot create a directory for temporary files: {error:#}")).help(format!(
                "{place} must be a directory with free space that this user can write to; or set TMPDIR to one"
            ))
        })?;
        Ok(Self { path })
    }

    /// The path of the directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in the directory.
    pub fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = remove_tree(&self.path);
    }
}
