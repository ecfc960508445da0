//! Writing: files that are whole from the moment their name appears, directories, links.

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

/// Who may do what with a file. It is set before the file has its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Numbers of user and group; `None` leaves the file to root and root's group.
    owner: Option<(u32, u32)>,
    mode: u32,
}

impl From<u32> for Access {
    /// This mode, for a file of root's.
    fn from(mode: u32) -> Self {
        Self { owner: None, mode }
    }
}

impl Access {
    /// This user, this group and this mode.
    ///
    /// # Errors
    /// When there is no such user or group.
    pub fn of(user: &str, group: &str, mode: u32) -> Result<Self> {
        let user = users::get_user_by_name(user).with_context(|| format!("no user {user}"))?;
        let group = users::get_group_by_name(group).with_context(|| format!("no group {group}"))?;
        Ok(Self::numbers(user.uid(), group.gid(), mode))
    }

    /// The same by numbers.
    pub fn numbers(user: u32, group: u32, mode: u32) -> Self {
        Self {
            owner: Some((user, group)),
            mode,
        }
    }

    fn set(self, file: &OwnedFd) -> nix::Result<()> {
        if let Some((user, group)) = self.owner {
            sys::give(file.as_fd(), user, group)?;
        }
        // After the owner: a change of that takes away special bits.
        sys::set_mode(file.as_fd(), self.mode)
    }
}

/// Replaces a file at once: a reader sees the old or the new contents, also after a power cut.
pub fn replace(path: impl AsRef<Path>, contents: &[u8], access: impl Into<Access>) -> Result<()> {
    write(path.as_ref(), contents, access.into(), None)
}

/// As [`replace`], with the time at which the file shall have been changed.
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

/// A new file beside a name. Its own name bears this process's number: one that is there already is of a process that ended
/// before it was done.
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

/// Makes a directory with all that shall be in it, and gives it its name when it is complete. `entries` are paths in it, with
/// contents or, for a directory that may stay empty, none.
///
/// # Errors
/// When the name is taken, among others; a draft may stay, and is replaced by the next attempt.
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
        // Once for all of them, before the name appears.
        sys::synchronise_all(top.open()?.as_fd())?;
        rename(&draft, path)
    };
    publish().with_context(|| format!("cannot make {}", path.display()))
}

/// Gives a file or directory another name in the same directory or another one.
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

/// Makes a link name another target, at once.
pub fn point(link: impl AsRef<Path>, target: &str) -> Result<()> {
    let link = link.as_ref();
    let next = link.with_extension("next");
    super::remove(&next)?;
    let point = || -> Result<()> {
        let place = place::parent(&next, Missing::Make)?;
        sys::make_link(place.directory.as_fd(), &place.name, OsStr::new(target))?;
        rename(&next, link)
    };
    point().with_context(|| format!("cannot make {} name {target}", link.display()))
}

/// Makes a directory with its parents, and sets its owner and mode.
pub fn directory(path: impl AsRef<Path>, access: impl Into<Access>) -> Result<()> {
    let path = path.as_ref();
    let make = || -> Result<()> {
        let directory = place::directory(path, Missing::Make)?.open()?;
        Ok(access.into().set(&directory)?)
    };
    make().with_context(|| format!("cannot make {}", path.display()))
}

/// Rewrites a file of the administrator's: behind a link where it is one, with the owner and the mode that it has.
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
