//! The system calls of this module. Each is relative to an open directory, and none follows a link.
//!
//! They are in one file because a test changes the names in a directory between any two of them.

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, symlinkat, syncfs, unlinkat};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

type Result<T> = nix::Result<T>;

const NEVER_FOLLOW: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC);

/// Opens a file of any kind as a reference (`O_PATH`), without reading it. A link itself is opened.
pub fn hold(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    openat(directory, name, OFlag::O_PATH | NEVER_FOLLOW, Mode::empty())
}

/// Opens the root of the file system.
pub fn root() -> Result<OwnedFd> {
    before();
    nix::fcntl::open(
        "/",
        OFlag::O_PATH | OFlag::O_DIRECTORY | NEVER_FOLLOW,
        Mode::empty(),
    )
}

/// Opens a file for reading. It does not block, even on a named pipe.
pub fn reading(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::empty())
}

/// Creates a file that no other account can open yet, and opens it for writing.
///
/// # Errors
/// `EEXIST` when the name exists.
pub fn making(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Opens a persistent file for locking. A missing file is created, closed to other accounts.
pub fn staying(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NONBLOCK | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Opens a directory for listing and synchronising.
pub fn listing(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::empty())
}

/// The status of an open file: type, ownership and permissions.
pub fn status(file: BorrowedFd) -> Result<FileStat> {
    before();
    fstat(file)
}

/// The target of a link that was opened by [`hold`].
pub fn target(link: BorrowedFd) -> Result<OsString> {
    before();
    readlinkat(link, "")
}

/// Creates a directory.
pub fn make_directory(directory: BorrowedFd, name: &OsStr, mode: u32) -> Result<()> {
    before();
    mkdirat(directory, name, Mode::from_bits_truncate(mode))
}

/// Creates a symbolic link.
pub fn make_link(directory: BorrowedFd, name: &OsStr, target: &OsStr) -> Result<()> {
    before();
    symlinkat(target, directory, name)
}

/// Sets user and group of an open file.
pub fn give(file: BorrowedFd, user: u32, group: u32) -> Result<()> {
    before();
    fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
}

/// Sets the mode of an open file.
pub fn set_mode(file: BorrowedFd, mode: u32) -> Result<()> {
    before();
    fchmod(file, Mode::from_bits_truncate(mode))
}

/// Renames a file, link or directory, and replaces an existing file of the new name.
pub fn rename(from: BorrowedFd, old: &OsStr, to: BorrowedFd, new: &OsStr) -> Result<()> {
    before();
    renameat(from, old, to, new)
}

/// Removes a name that is not a directory.
pub fn unlink(directory: BorrowedFd, name: &OsStr) -> Result<()> {
    before();
    unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
}

/// Removes an empty directory.
pub fn remove_directory(directory: BorrowedFd, name: &OsStr) -> Result<()> {
    before();
    unlinkat(directory, name, UnlinkatFlags::RemoveDir)
}

/// Writes an open file, or the names in an open directory, to disk.
pub fn synchronise(file: impl AsFd) -> Result<()> {
    before();
    fsync(file)
}

/// Writes the whole file system to disk.
pub fn synchronise_all(file: BorrowedFd) -> Result<()> {
    before();
    syncfs(file)
}

/// The names in a directory that was opened by [`listing`], and whether each name is a directory.
pub fn entries(directory: &OwnedFd) -> Result<Vec<(OsString, bool)>> {
    before();
    // A separate open file description, since reading moves its position.
    let own = openat(
        directory,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | NEVER_FOLLOW,
        Mode::empty(),
    )?;
    let mut found = Vec::new();
    for entry in Dir::from_fd(own)?.iter() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let is_directory = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // Some file systems do not return the type with the name.
            None => match hold(own_fd(directory), name) {
                Ok(file) => is_directory(&status(file.as_fd())?),
                Err(Errno::ENOENT) => continue,
                Err(error) => return Err(error),
            },
        };
        found.push((name.to_owned(), is_directory));
    }
    Ok(found)
}

fn own_fd(directory: &OwnedFd) -> BorrowedFd<'_> {
    directory.as_fd()
}

/// Whether this is the status of a directory.
pub fn is_directory(status: &FileStat) -> bool {
    kind(status) == nix::libc::S_IFDIR
}

/// Whether this is the status of a symbolic link.
pub fn is_link(status: &FileStat) -> bool {
    kind(status) == nix::libc::S_IFLNK
}

/// Whether this is the status of a regular file.
pub fn is_file(status: &FileStat) -> bool {
    kind(status) == nix::libc::S_IFREG
}

/// Whether this is the status of a Unix socket.
pub fn is_socket(status: &FileStat) -> bool {
    kind(status) == nix::libc::S_IFSOCK
}

fn kind(status: &FileStat) -> u32 {
    status.st_mode & nix::libc::S_IFMT
}

#[cfg(not(test))]
fn before() {}

/// Runs the test's hook between two system calls.
#[cfg(test)]
fn before() {
    super::race::meanwhile();
}
