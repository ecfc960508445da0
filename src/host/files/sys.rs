//! The system calls of this module, each relative to an open directory, and none of which follows a link.
//!
//! They stand together for one reason: a test changes the names in a directory between any two of them.

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

/// Opens a name without reading it, whatever it is: a link is opened itself.
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

/// Opens a file to be read. One that would block, such as a named pipe, does not.
pub fn reading(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::empty())
}

/// Makes a file that nobody else can open yet, and opens it to be written.
///
/// # Errors
/// `EEXIST` when there is such a name.
pub fn making(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Opens a file that stays, to be locked; makes it, closed to others, where there is none.
pub fn staying(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_NONBLOCK | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Opens a directory to be listed and synchronised.
pub fn listing(directory: BorrowedFd, name: &OsStr) -> Result<OwnedFd> {
    before();
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | NEVER_FOLLOW;
    openat(directory, name, flags, Mode::empty())
}

/// What an open file is, and whose.
pub fn status(file: BorrowedFd) -> Result<FileStat> {
    before();
    fstat(file)
}

/// What a link that was opened by [`hold`] names.
pub fn target(link: BorrowedFd) -> Result<OsString> {
    before();
    readlinkat(link, "")
}

/// Makes a directory.
pub fn make_directory(directory: BorrowedFd, name: &OsStr, mode: u32) -> Result<()> {
    before();
    mkdirat(directory, name, Mode::from_bits_truncate(mode))
}

/// Makes a link.
pub fn make_link(directory: BorrowedFd, name: &OsStr, target: &OsStr) -> Result<()> {
    before();
    symlinkat(target, directory, name)
}

/// Gives an open file to a user and a group.
pub fn give(file: BorrowedFd, user: u32, group: u32) -> Result<()> {
    before();
    fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))
}

/// Sets the mode of an open file.
pub fn set_mode(file: BorrowedFd, mode: u32) -> Result<()> {
    before();
    fchmod(file, Mode::from_bits_truncate(mode))
}

/// Gives a file, link or directory another name, which takes the place of what has it.
pub fn rename(from: BorrowedFd, old: &OsStr, to: BorrowedFd, new: &OsStr) -> Result<()> {
    before();
    renameat(from, old, to, new)
}

/// Removes a name that is no directory's.
pub fn unlink(directory: BorrowedFd, name: &OsStr) -> Result<()> {
    before();
    unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
}

/// Removes an empty directory.
pub fn remove_directory(directory: BorrowedFd, name: &OsStr) -> Result<()> {
    before();
    unlinkat(directory, name, UnlinkatFlags::RemoveDir)
}

/// Writes an open file, or the names of an open directory, to the disk.
pub fn synchronise(file: impl AsFd) -> Result<()> {
    before();
    fsync(file)
}

/// Writes all of a file system to the disk.
pub fn synchronise_all(file: BorrowedFd) -> Result<()> {
    before();
    syncfs(file)
}

/// The names in a directory that was opened by [`listing`], and whether each is one of a directory.
pub fn entries(directory: &OwnedFd) -> Result<Vec<(OsString, bool)>> {
    before();
    // A description of its own: reading moves its position.
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
            // Some file systems do not say it with the name.
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

/// Gives a test the time between two system calls.
#[cfg(test)]
fn before() {
    super::race::meanwhile();
}
