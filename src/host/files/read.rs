//! Reading the contents of regular files, names, ownership and links.

use super::place::{self, Last, Missing};
use super::{absent, sys};
use anyhow::{Context, Result, ensure};
use nix::errno::Errno;
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// The maximum size of a file that is read, in bytes. Files that this program reads are far smaller, and a device such
/// as /dev/zero has no end.
const LARGEST: u64 = 16 << 20;

/// The contents, or `None` if the file does not exist.
///
/// # Errors
/// When it is not a regular file. The error comes at once: reading never blocks.
pub fn read(path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let read = || -> Result<Option<Vec<u8>>> {
        let Some((mut file, _)) = open(path)? else {
            return Ok(None);
        };
        let mut contents = Vec::new();
        let bytes = file.by_ref().take(LARGEST + 1).read_to_end(&mut contents)?;
        ensure!(
            bytes as u64 <= LARGEST,
            "it is larger than {LARGEST} bytes, which no file read here is"
        );
        Ok(Some(contents))
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// Opens a regular file for reading. Returns its status as well.
pub(super) fn open(path: &Path) -> Result<Option<(File, nix::sys::stat::FileStat)>> {
    let Some(entry) = absent(place::find(path, Last::Follow))? else {
        return Ok(None);
    };
    let Some((_, found)) = &entry.found else {
        return Ok(None);
    };
    ensure!(sys::is_file(found), "not a regular file");
    let file = match sys::reading(entry.place.directory.as_fd(), &entry.place.name) {
        Err(Errno::ENOENT) => return Ok(None),
        file => file?,
    };
    let status = sys::status(file.as_fd())?;
    ensure!(sys::is_file(&status), "not a regular file");
    Ok(Some((File::from(file), status)))
}

/// Like [`read`], for text.
///
/// # Errors
/// As for [`read`], and when the contents are not UTF-8.
pub fn read_text(path: impl AsRef<Path>) -> Result<Option<String>> {
    let path = path.as_ref();
    let Some(contents) = read(path)? else {
        return Ok(None);
    };
    let text =
        String::from_utf8(contents).with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Some(text))
}

/// The names in a directory, sorted; none if the directory does not exist.
pub fn names(path: impl AsRef<Path>) -> Vec<String> {
    let listed = || -> Result<Vec<String>> {
        let directory = place::directory(path.as_ref(), Missing::Fail)?;
        let entries = sys::entries(&directory.open()?)?;
        let names = entries.into_iter();
        Ok(names
            .map(|(name, _)| name.to_string_lossy().into_owned())
            .collect())
    };
    let mut names = listed().unwrap_or_default();
    names.sort();
    names
}

/// Whether the path exists: a file, a directory, or a link with any target.
pub fn exists(path: impl AsRef<Path>) -> bool {
    place::find(path.as_ref(), Last::Stay).is_ok_and(|entry| entry.found.is_some())
}

/// Whether this is a directory, or a link to one that only root could have placed.
pub fn is_directory(path: impl AsRef<Path>) -> bool {
    let found = |entry: place::Entry| {
        entry
            .found
            .is_some_and(|(_, status)| sys::is_directory(&status))
    };
    place::find(path.as_ref(), Last::Follow).is_ok_and(found)
}

/// Whether this is a link.
pub fn is_link(path: impl AsRef<Path>) -> bool {
    let found = |entry: place::Entry| entry.found.is_some_and(|(_, status)| sys::is_link(&status));
    place::find(path.as_ref(), Last::Stay).is_ok_and(found)
}

/// Whether this is a Unix socket.
pub fn is_socket(path: impl AsRef<Path>) -> bool {
    let found = |entry: place::Entry| {
        entry
            .found
            .is_some_and(|(_, status)| sys::is_socket(&status))
    };
    place::find(path.as_ref(), Last::Stay).is_ok_and(found)
}

/// The metadata of a path. The kernel follows links of any account, so use it for comparison and output only, never for
/// decisions of root.
pub fn metadata(path: impl AsRef<Path>) -> Option<Metadata> {
    std::fs::metadata(path).ok()
}

/// A file of the kernel about a process, such as `/proc/PID/status`.
pub fn of_process(process: u32, name: &str) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{process}/{name}")).ok()
}

/// The namespace of a kind, such as `net`, that a process is in (namespaces(7)); `None` if the process has ended or
/// belongs to another account.
pub fn namespace(process: u32, kind: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/ns/{kind}")).ok()
}

/// Random bytes from the kernel.
///
/// # Errors
/// When the kernel returns none (getrandom(2)).
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).context("the kernel gives no random bytes")?;
    Ok(bytes)
}

/// The working directory of a process, as that process sees it.
pub fn working_directory(process: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{process}/cwd")).ok()
}

/// The name of the file or directory that a link points to, without its path.
pub fn link_target(link: impl AsRef<Path>) -> Option<String> {
    let target = target(link.as_ref())?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// The target of a link.
fn target(link: &Path) -> Option<PathBuf> {
    let (file, status) = place::find(link, Last::Stay).ok()?.found?;
    let link = sys::is_link(&status).then_some(file)?;
    sys::target(link.as_fd()).ok().map(PathBuf::from)
}

/// The permission bits of a file.
pub fn mode(path: impl AsRef<Path>) -> Option<u32> {
    let (_, status) = place::find(path.as_ref(), Last::Follow).ok()?.found?;
    Some(status.st_mode & 0o7777)
}

/// The space of a file system, in bytes.
pub struct Space {
    /// The used and the free part together.
    pub total: u64,
    /// The part that accounts other than root can still use.
    pub free: u64,
}

/// The space of the file system that contains a path (statvfs(3)).
pub fn space(path: &str) -> Option<Space> {
    let found = nix::sys::statvfs::statvfs(path).ok()?;
    let unit = found.fragment_size();
    Some(Space {
        total: found.blocks() * unit,
        free: found.blocks_available() * unit,
    })
}

/// Whether only root (or the user that runs this program) can change or replace a file.
pub fn only_root_can_replace(path: impl AsRef<Path>) -> bool {
    place::find(path.as_ref(), Last::Follow).is_ok_and(|entry| entry.is_sure())
}
