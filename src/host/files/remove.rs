//! Removing files, and directories with their contents.

use super::place::{self, Missing};
use super::{absent, sys};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The maximum number of passes. Each pass removes one level of a tree, so this is far deeper than any legitimate tree.
/// It stops an account that creates names as fast as root removes them.
const ROUNDS: usize = 10_000;

/// Removes a file or link. A missing one is not an error.
///
/// # Errors
/// When the path is a directory, or when the name cannot be removed.
pub fn remove(path: impl AsRef<Path>) -> Result<()> {
    at(path.as_ref(), |directory, name| {
        sys::unlink(directory.as_fd(), name)
    })
}

/// Removes a file, and then its directory if that is an empty drop-in directory of this program's units.
///
/// # Errors
/// As for [`remove`].
pub fn remove_with_drop_ins(path: impl AsRef<Path>) -> Result<()> {
    remove(&path)?;
    match path.as_ref().parent() {
        Some(directory) if crate::state::units::is_drop_ins(directory) => remove_empty(directory),
        _ => Ok(()),
    }
}

/// Removes a directory if it is empty.
pub fn remove_empty(path: impl AsRef<Path>) -> Result<()> {
    at(
        path.as_ref(),
        |directory, name| match sys::remove_directory(directory.as_fd(), name) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => Ok(()),
            removed => removed,
        },
    )
}

/// Removes a directory with its contents, or a file or link. Links inside are removed and not followed.
pub fn remove_tree(path: impl AsRef<Path>) -> Result<()> {
    at(path.as_ref(), |directory, name| {
        match sys::unlink(directory.as_fd(), name) {
            Err(Errno::EISDIR | Errno::EPERM) => {
                let tree = sys::listing(directory.as_fd(), name)?;
                empty(&tree)?;
                drop(tree);
                sys::remove_directory(directory.as_fd(), name)
            }
            removed => removed,
        }
    })
}

/// Runs an operation on the last component of a path. A missing one is not an error.
fn at(path: &Path, work: impl FnOnce(&OwnedFd, &OsStr) -> nix::Result<()>) -> Result<()> {
    let remove = || -> Result<()> {
        let Some(place) = absent(place::parent(path, Missing::Fail))? else {
            return Ok(());
        };
        match work(&place.directory.open()?, &place.name) {
            Err(Errno::ENOENT) => Ok(()),
            worked => Ok(worked?),
        }
    };
    remove().with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes the contents of a directory without recursion, since another account may have nested it to any depth. The
/// contents of each subdirectory are moved up until it is empty.
fn empty(top: &OwnedFd) -> nix::Result<()> {
    let mut number = 0;
    for _ in 0..ROUNDS {
        let entries = sys::entries(top)?;
        if entries.is_empty() {
            return Ok(());
        }
        for (name, is_directory) in entries {
            if !is_directory {
                gone(sys::unlink(top.as_fd(), &name))?;
                continue;
            }
            let inner = match sys::listing(top.as_fd(), &name) {
                // Another account has replaced it with a file of another kind.
                Err(Errno::ENOTDIR | Errno::ELOOP) => {
                    gone(sys::unlink(top.as_fd(), &name))?;
                    continue;
                }
                Err(Errno::ENOENT) => continue,
                inner => inner?,
            };
            for (below, is_directory) in sys::entries(&inner)? {
                if is_directory {
                    number += 1;
                    let up = OsString::from(format!(".removed.{}.{number}", std::process::id()));
                    gone(sys::rename(inner.as_fd(), &below, top.as_fd(), &up))?;
                } else {
                    gone(sys::unlink(inner.as_fd(), &below))?;
                }
            }
            match sys::remove_directory(top.as_fd(), &name) {
                // Another account has added a file meanwhile; the next pass removes it.
                Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => {}
                removed => gone(removed)?,
            }
        }
    }
    Err(Errno::ENOTEMPTY)
}

fn gone(result: nix::Result<()>) -> nix::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        other => other,
    }
}
