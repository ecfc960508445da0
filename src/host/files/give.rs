//! Giving a tree to another account.

use super::place::{self, Missing};
use super::sys;
use super::write::Access;
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Gives everything below a directory that belongs to `owner` to the owner of `access`; modes stay. Links, devices and the
/// files of any other account are removed. Returns the number of removed entries. Nothing else may write to the tree
/// meanwhile.
///
/// # Errors
/// When an entry can be neither given nor removed.
pub fn give_tree(path: impl AsRef<Path>, owner: u32, access: Access) -> Result<u64> {
    let path = path.as_ref();
    let give = || -> Result<u64> {
        let top = place::directory(path, Missing::Fail)?.open()?;
        below(&top, owner, access)
    };
    give().with_context(|| format!("cannot change the owner of {}", path.display()))
}

fn below(directory: &OwnedFd, owner: u32, access: Access) -> Result<u64> {
    let mut removed = 0;
    for (name, is_directory) in sys::entries(directory)? {
        removed += entry(directory, &name, is_directory, owner, access)
            .with_context(|| name.to_string_lossy().into_owned())?;
    }
    Ok(removed)
}

fn entry(
    directory: &OwnedFd,
    name: &OsString,
    is_directory: bool,
    owner: u32,
    access: Access,
) -> Result<u64> {
    if is_directory {
        let inner = sys::listing(directory.as_fd(), name)?;
        let removed = below(&inner, owner, access)?;
        access.give(&inner)?;
        return Ok(removed);
    }
    let file = match sys::reading(directory.as_fd(), name) {
        // A link, a socket, or a device without a driver.
        Err(Errno::ELOOP | Errno::ENXIO | Errno::ENODEV) => return remove(directory, name),
        file => file?,
    };
    let status = sys::status(file.as_fd())?;
    match sys::is_file(&status) && status.st_uid == owner {
        true => {
            access.give(&file)?;
            Ok(0)
        }
        false => remove(directory, name),
    }
}

fn remove(directory: &OwnedFd, name: &OsStr) -> Result<u64> {
    sys::unlink(directory.as_fd(), name)?;
    Ok(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_files_of_the_owner_are_given() {
        let box_ = tempfile::tempdir().unwrap();
        let at = |name: &str| box_.path().join(name);
        fs::create_dir(at("a")).unwrap();
        fs::write(at("a/file"), "media").unwrap();
        symlink("/etc/passwd", at("a/link")).unwrap();
        let own = nix::unistd::geteuid().as_raw();
        let access = Access::numbers(own, nix::unistd::getegid().as_raw(), 0o700);
        assert_eq!(give_tree(box_.path(), own, access).unwrap(), 1);
        assert_eq!(fs::read_to_string(at("a/file")).unwrap(), "media");
        assert!(fs::symlink_metadata(at("a/link")).is_err());
        assert!(fs::exists("/etc/passwd").unwrap());
        // As if root had read the file of another account.
        assert_eq!(give_tree(box_.path(), own + 1, access).unwrap(), 1);
        assert!(!at("a/file").exists() && at("a").is_dir());
    }
}
