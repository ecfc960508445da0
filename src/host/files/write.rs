//! Writing files, directories and links. A file is complete from the moment its name appears.

use super::place::{self, Entry, Last, Missing, Place};
use super::{absent, sys};
use anyhow::{Context, Result};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::SystemTime;

/// Ownership and permissions of a file. They are set before the file has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The numbers of user and group; `None` leaves root and root's group.
    owner: Option<(u32, u32)>,
    mode: u32,
}

impl From<u32> for Access {
    /// This mode, for a file of root.
    fn from(mode: u32) -> Self {
        Self { owner: None, mode }
    }
}

impl Access {
    /// This user, group and mode.
    ///
    /// # Errors
    /// When the user or group does not exist.
    pub fn of(user: &str, group: &str, mode: u32) -> Result<Self> {
        let user = users::get_user_by_name(user).with_context(|| format!("no user {user}"))?;
        let group = users::get_group_by_name(group).with_context(|| format!("no group {group}"))?;
        Ok(Self::numbers(user.uid(), group.gid(), mode))
    }

    /// This user, group and mode, by numbers.
    pub fn numbers(user: u32, group: u32, mode: u32) -> Self {
        Self {
            owner: Some((user, group)),
            mode,
        }
    }

    /// Sets the ownership alone.
    pub(super) fn give(self, file: &OwnedFd) -> nix::Result<()> {
        match self.owner {
            Some((user, group)) => sys::give(file.as_fd(), user, group),
            None => Ok(()),
        }
    }

    fn set(self, file: &OwnedFd) -> nix::Result<()> {
        if let Some((user, group)) = self.owner {
            sys::give(file.as_fd(), user, group)?;
        }
        // The mode is set after the owner, because a change of owner clears special bits.
        sys::set_mode(file.as_fd(), self.mode)
    }
}

/// Replaces a file atomically: a reader sees the old or the new contents, even after a power loss.
///
/// # Errors
/// When the file cannot be written, or when another account could have placed a link on the path.
pub fn replace(path: impl AsRef<Path>, contents: &[u8], access: impl Into<Access>) -> Result<()> {
    write(path.as_ref(), contents, access.into(), None)
}

/// Like [`replace`], with this modification time.
pub(super) fn write(
    path: &Path,
    contents: &[u8],
    access: Access,
    modified: Option<SystemTime>,
) -> Result<()> {
    place::parent(path, Missing::Make)
        .and_then(|place| write_at(&place, contents, access, modified))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn write_at(
    place: &Place,
    contents: &[u8],
    access: Access,
    modified: Option<SystemTime>,
) -> Result<()> {
    let (draft, file) = draft(place)?;
    let written = || -> Result<()> {
        access.set(&file)?;
        let mut file = File::from(file);
        file.write_all(contents)?;
        if let Some(time) = modified {
            file.set_modified(time)?;
        }
        sys::synchronise(&file)?;
        let directory = place.directory.as_fd();
        Ok(sys::rename(directory, &draft, directory, &place.name)?)
    };
    if let Err(error) = written() {
        let _ = sys::unlink(place.directory.as_fd(), &draft);
        return Err(error);
    }
    Ok(sys::synchronise(place.directory.open()?)?)
}

/// Creates a temporary file beside a name. The number of this process is part of its name, so an existing one was left
/// by a process that ended early.
fn draft(place: &Place) -> Result<(OsString, OwnedFd)> {
    let mut name = OsString::from(".");
    name.push(&place.name);
    name.push(format!(".{}", std::process::id()));
    let directory = place.directory.as_fd();
    let file = match sys::making(directory, &name) {
        Err(Errno::EEXIST) => {
            sys::unlink(directory, &name)?;
            sys::making(directory, &name)?
        }
        file => file?,
    };
    Ok((name, file))
}

/// Creates a directory with its contents, and renames it to its final name when it is complete. `entries` are paths in
/// it with their contents, or without contents for a directory that may stay empty.
///
/// # Errors
/// For example when the name exists. A draft may remain; the next attempt replaces it.
pub fn publish<'a>(
    path: impl AsRef<Path>,
    entries: impl IntoIterator<Item = (&'a str, Option<&'a [u8]>, Access)>,
) -> Result<()> {
    let path = path.as_ref();
    let draft = path.with_file_name(".draft");
    super::remove_tree(&draft)?;
    let publish = || -> Result<()> {
        let top = place::directory(&draft, Missing::Make)?;
        for (name, contents, access) in entries {
            let path = draft.join(name);
            let Some(contents) = contents else {
                place::directory(&path, Missing::Make)?;
                continue;
            };
            let place = place::parent(&path, Missing::Make)?;
            let file = sys::making(place.directory.as_fd(), &place.name)?;
            access.set(&file)?;
            File::from(file).write_all(contents)?;
        }
        // One call for all files, before the name appears.
        sys::synchronise_all(top.open()?.as_fd())?;
        rename(&draft, path)
    };
    publish().with_context(|| format!("cannot make {}", path.display()))
}

/// Renames a file or directory, within a directory or across directories.
pub fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<()> {
    let (from, to) = (from.as_ref(), to.as_ref());
    let rename = || -> Result<()> {
        let old = place::parent(from, Missing::Fail)?;
        let new = place::parent(to, Missing::Fail)?;
        let directories = (old.directory.as_fd(), new.directory.as_fd());
        sys::rename(directories.0, &old.name, directories.1, &new.name)?;
        sys::synchronise(old.directory.open()?)?;
        Ok(sys::synchronise(new.directory.open()?)?)
    };
    rename().with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Replaces the target of a link atomically.
pub fn replace_link(link: impl AsRef<Path>, target: &str) -> Result<()> {
    let link = link.as_ref();
    let next = link.with_extension("next");
    super::remove(&next)?;
    let replace = || -> Result<()> {
        let place = place::parent(&next, Missing::Make)?;
        sys::make_link(place.directory.as_fd(), &place.name, OsStr::new(target))?;
        rename(&next, link)
    };
    replace().with_context(|| format!("cannot link {} to {target}", link.display()))
}

/// Creates a directory with its parents, and sets its ownership and mode.
///
/// # Errors
/// When a file has this name, or when the directory cannot be created.
pub fn directory(path: impl AsRef<Path>, access: impl Into<Access>) -> Result<()> {
    let path = path.as_ref();
    let make = || -> Result<()> {
        let directory = place::directory(path, Missing::Make)?.open()?;
        Ok(access.into().set(&directory)?)
    };
    make().with_context(|| format!("cannot make {}", path.display()))
}

/// Rewrites a file of the administrator. It follows a link, and keeps ownership and mode.
///
/// # Errors
/// As for [`replace`].
pub fn rewrite(path: impl AsRef<Path>, contents: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let rewrite = || -> Result<()> {
        match absent(place::find(path, Last::Follow))? {
            Some(Entry {
                place,
                found: Some((_, status)),
            }) => {
                let mode = status.st_mode & 0o7777;
                let access = Access::numbers(status.st_uid, status.st_gid, mode);
                write_at(&place, contents, access, None)
            }
            _ => write_at(
                &place::parent(path, Missing::Make)?,
                contents,
                0o644.into(),
                None,
            ),
        }
    };
    rewrite().with_context(|| format!("cannot write {}", path.display()))
}
