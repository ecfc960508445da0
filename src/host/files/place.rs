//! From a path to an open directory and a name in it, one component after another.
//!
//! Root works in directories that service accounts own. There, a name can become a symbolic link to any place of the host
//! between two system calls. So a link is followed only where no other account could have placed it: each directory on
//! the way to it must be one whose names only root can change. The administrator's links, such as `/var/lib` on
//! another disk or those of certbot, are of that kind.

use super::sys;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{getegid, geteuid};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

/// Links that are followed on one way, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;
/// The mode of directories that are made on the way: theirs is set later, if it is to be another one.
const MODE: u32 = 0o755;

/// An open directory, with the knowledge of who can change the names in it.
pub struct Directory {
    file: OwnedFd,
    /// No other account could have put another directory in its place.
    sure: bool,
    status: FileStat,
}

/// A name in an open directory.
pub struct Place {
    pub directory: Directory,
    pub name: OsString,
}

/// The end of a way.
pub struct Entry {
    pub place: Place,
    /// The file, held but not opened; `None` where there is none of this name.
    pub found: Option<(OwnedFd, FileStat)>,
}

impl Entry {
    /// Whether no other account than root can replace this file or change it.
    pub fn is_sure(&self) -> bool {
        self.found
            .as_ref()
            .is_some_and(|(_, status)| self.place.directory.is_sure_of(status) && only_ours(status))
    }
}

/// Whether to make directories that are missing on the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Make,
    Fail,
}

/// What to do with a link at the end of the way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// It is the file in question.
    Stay,
    /// It is followed like any other.
    Follow,
}

impl Directory {
    fn root() -> Result<Self> {
        let file = sys::root()?;
        let status = sys::status(file.as_fd())?;
        Ok(Self {
            file,
            sure: true,
            status,
        })
    }

    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The directory opened so that it can be listed and synchronised.
    pub fn open(&self) -> nix::Result<OwnedFd> {
        sys::listing(self.as_fd(), OsStr::new("."))
    }

    /// Whether no other account could have made the name of this file: a name in a directory of root's that others may
    /// not write. In one such as /tmp, others can make names, but not replace those of root.
    fn is_sure_of(&self, entry: &FileStat) -> bool {
        let sticky = self.status.st_mode & nix::libc::S_ISVTX != 0;
        let exclusive = only_ours(&self.status);
        self.sure && (exclusive || (sticky && ours(self.status.st_uid) && ours(entry.st_uid)))
    }

    /// The directory of this name in it.
    fn enter(&self, file: OwnedFd, status: FileStat) -> Self {
        Self {
            sure: self.is_sure_of(&status),
            file,
            status,
        }
    }
}

/// Whether a user is root, or the one that runs this program.
fn ours(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Whether root, or the user that runs this program, owns a file and no other may write it.
fn only_ours(status: &FileStat) -> bool {
    let group = status.st_gid == 0 || (!geteuid().is_root() && status.st_gid == getegid().as_raw());
    let others = if group { 0o002 } else { 0o022 };
    // A mode of a link means nothing.
    ours(status.st_uid) && (sys::is_link(status) || status.st_mode & others == 0)
}

/// The directory of a path, and the last name in it. The name itself is not looked at.
///
/// # Errors
/// When a component is missing, is no directory, or is a link that another account could have placed.
pub fn parent(path: &Path, missing: Missing) -> Result<Place> {
    Ok(walk(components(&std::path::absolute(path)?), missing, None)?.place)
}

/// The directory of this path.
///
/// # Errors
/// As [`parent`].
pub fn directory(path: &Path, missing: Missing) -> Result<Directory> {
    let mut names = components(&std::path::absolute(path)?);
    names.insert(0, OsString::from("."));
    Ok(walk(names, missing, None)?.place.directory)
}

/// As [`parent`], with the file of the last name.
pub fn find(path: &Path, last: Last) -> Result<Entry> {
    let mut names = components(&std::path::absolute(path)?);
    if names.is_empty() {
        names.push(OsString::from("."));
    }
    walk(names, Missing::Fail, Some(last))
}

/// Goes along these names, the last of which comes first.
fn walk(mut waiting: Vec<OsString>, missing: Missing, last: Option<Last>) -> Result<Entry> {
    let mut directory = Directory::root()?;
    let mut links = 0;
    loop {
        let Some(name) = waiting.pop() else {
            bail!("it is a directory");
        };
        let end = waiting.is_empty();
        if name == ".." {
            // A directory of another account's may have been moved, so that its parent is any that the account chose.
            ensure!(directory.sure, "`..` below a directory of another account");
        } else if end && last.is_none() {
            let place = Place { directory, name };
            return Ok(Entry { place, found: None });
        }
        let opened = match sys::hold(directory.as_fd(), &name) {
            Err(Errno::ENOENT) if end => None,
            Err(Errno::ENOENT) if missing == Missing::Make => {
                match sys::make_directory(directory.as_fd(), &name, MODE) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error).with_context(|| shown(&name)),
                }
                Some(sys::hold(directory.as_fd(), &name).with_context(|| shown(&name))?)
            }
            opened => Some(opened.with_context(|| shown(&name))?),
        };
        let Some(file) = opened else {
            let place = Place { directory, name };
            return Ok(Entry { place, found: None });
        };
        let status = sys::status(file.as_fd())?;
        if sys::is_link(&status) && !(end && last == Some(Last::Stay)) {
            links += 1;
            ensure!(links <= LINKS, "more than {LINKS} symbolic links");
            ensure!(
                directory.is_sure_of(&status),
                "{} is a symbolic link that an account other than root could have placed, and is not followed",
                shown(&name)
            );
            let target = sys::target(file.as_fd())?;
            if Path::new(&target).is_absolute() {
                directory = Directory::root()?;
            }
            waiting.extend(components(Path::new(&target)));
            if waiting.is_empty() {
                // The link names the root directory itself.
                waiting.push(OsString::from("."));
            }
            continue;
        }
        if end && last.is_some() {
            let place = Place { directory, name };
            return Ok(Entry {
                place,
                found: Some((file, status)),
            });
        }
        ensure!(
            sys::is_directory(&status),
            "{} is not a directory",
            shown(&name)
        );
        directory = directory.enter(file, status);
    }
}

/// The components of a path, the last one first.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}
