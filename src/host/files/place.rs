//! Path resolution: from a path to an open directory and a name in it, one component after another.
//!
//! Root works in directories that service accounts own. There, a name can become a symbolic link to any file of the
//! host between two system calls. So a link is followed only if no other account could have placed it: only root may be
//! able to change names in each directory on the path to it. The administrator's links meet this condition, such as
//! those of certbot or a `/var/lib` on another disk.

use super::sys;
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{getegid, geteuid};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

/// The maximum number of links in one resolution, as in the kernel (path_resolution(7)).
const LINKS: usize = 40;
/// The mode of parent directories that are created. Another mode is set later, if the caller wants one.
const MODE: u32 = 0o755;

/// An open directory. It records which accounts can change the names in it.
pub struct Directory {
    file: OwnedFd,
    /// Whether no other account could have replaced it with another directory.
    sure: bool,
    status: FileStat,
}

/// A name in an open directory.
pub struct Place {
    pub directory: Directory,
    pub name: OsString,
}

/// The result of a path resolution.
pub struct Entry {
    pub place: Place,
    /// The file, opened only as a reference (`O_PATH`); `None` if the name does not exist.
    pub found: Option<(OwnedFd, FileStat)>,
}

impl Entry {
    /// Whether only root can replace or change this file.
    pub fn is_sure(&self) -> bool {
        self.found
            .as_ref()
            .is_some_and(|(_, status)| self.place.directory.is_sure_of(status) && only_ours(status))
    }
}

/// The handling of missing directories on the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Make,
    Fail,
}

/// The handling of a link at the end of the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// The link is the result.
    Stay,
    /// The link is followed like any other.
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

    /// Opens the directory for listing and synchronising.
    pub fn open(&self) -> nix::Result<OwnedFd> {
        sys::listing(self.as_fd(), OsStr::new("."))
    }

    /// Whether no other account could have placed this file: the directory belongs to root, and other accounts cannot
    /// write it. In a sticky directory such as /tmp, other accounts can create names, but not replace those of root.
    fn is_sure_of(&self, entry: &FileStat) -> bool {
        let sticky = self.status.st_mode & nix::libc::S_ISVTX != 0;
        let exclusive = only_ours(&self.status);
        self.sure && (exclusive || (sticky && ours(self.status.st_uid) && ours(entry.st_uid)))
    }

    /// The directory `file` inside this one.
    fn enter(&self, file: OwnedFd, status: FileStat) -> Self {
        Self {
            sure: self.is_sure_of(&status),
            file,
            status,
        }
    }
}

/// Whether a user is root, or the user that runs this program.
fn ours(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}

/// Whether root, or the user that runs this program, owns a file and no other account may write it.
fn only_ours(status: &FileStat) -> bool {
    let group = status.st_gid == 0 || (!geteuid().is_root() && status.st_gid == getegid().as_raw());
    let others = if group { 0o002 } else { 0o022 };
    // The mode of a link has no meaning.
    ours(status.st_uid) && (sys::is_link(status) || status.st_mode & others == 0)
}

/// The parent directory of a path, and the last component. The last component is not examined.
///
/// # Errors
/// When a component is missing, is not a directory, or is a link that another account could have placed.
pub fn parent(path: &Path, missing: Missing) -> Result<Place> {
    Ok(walk(components(&std::path::absolute(path)?), missing, None)?.place)
}

/// The directory at this path.
///
/// # Errors
/// The same as for [`parent`].
pub fn directory(path: &Path, missing: Missing) -> Result<Directory> {
    let mut names = components(&std::path::absolute(path)?);
    names.insert(0, OsString::from("."));
    Ok(walk(names, missing, None)?.place.directory)
}

/// Like [`parent`], with the file of the last component.
pub fn find(path: &Path, last: Last) -> Result<Entry> {
    let mut names = components(&std::path::absolute(path)?);
    if names.is_empty() {
        names.push(OsString::from("."));
    }
    walk(names, Missing::Fail, Some(last))
}

/// Resolves these components. They are in reverse order: the first component of the path comes last.
fn walk(mut waiting: Vec<OsString>, missing: Missing, last: Option<Last>) -> Result<Entry> {
    let mut directory = Directory::root()?;
    let mut links = 0;
    loop {
        let Some(name) = waiting.pop() else {
            bail!("it is a directory");
        };
        let end = waiting.is_empty();
        if name == ".." {
            // Another account may have moved its own directory, so it can choose the parent.
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
                // The target of the link is the root directory.
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

/// The components of a path in reverse order.
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
