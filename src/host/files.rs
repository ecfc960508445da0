//! Files: read, replaced atomically, removed.

use anyhow::{Context, Result, ensure};
use std::fs::{self, Metadata, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

/// Bytes that are read of one file: no settings come near, and a device such as /dev/zero has no end.
const LARGEST: u64 = 16 << 20;

/// The contents, or `None` where there is no such file.
pub fn read(path: impl AsRef<Path>) -> Result<Option<Vec<u8>>> {
    let path = path.as_ref();
    let mut contents = Vec::new();
    let begin = |file: fs::File| file.take(LARGEST + 1).read_to_end(&mut contents);
    match fs::File::open(path).and_then(begin) {
        Ok(bytes) => {
            ensure!(
                bytes as u64 <= LARGEST,
                "{} is larger than {LARGEST} bytes, which no file read here is",
                path.display()
            );
            Ok(Some(contents))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// As [`read`], for text.
pub fn read_text(path: impl AsRef<Path>) -> Result<Option<String>> {
    let path = path.as_ref();
    let Some(contents) = read(path)? else {
        return Ok(None);
    };
    let text =
        String::from_utf8(contents).with_context(|| format!("{} is not UTF-8", path.display()))?;
    Ok(Some(text))
}

/// Replaces a file at once: a reader sees the old or the new contents, also after a power cut.
pub fn replace(path: impl AsRef<Path>, contents: &[u8], mode: u32) -> Result<()> {
    let path = path.as_ref();
    let write = || -> Result<()> {
        let directory = path.parent().context("has no directory")?;
        fs::create_dir_all(directory)?;
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(directory)?;
        file.write_all(contents)?;
        file.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(fs::File::open(directory)?.sync_all()?)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// A file as it was, to be put back.
pub struct Kept {
    path: PathBuf,
    contents: Vec<u8>,
    metadata: Metadata,
}

/// Keeps a file in memory; `None` where there is none.
pub fn keep(path: impl AsRef<Path>) -> Result<Option<Kept>> {
    let path = path.as_ref();
    let Some(contents) = read(path)? else {
        return Ok(None);
    };
    let metadata =
        fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
    Ok(Some(Kept {
        path: path.to_owned(),
        contents,
        metadata,
    }))
}

impl Kept {
    /// Puts the file back with its owner and mode. Where somebody may have read the other one, it is a new file by its
    /// time: that is what tells who has to read it again.
    pub fn put_back(&self, read: bool) -> Result<()> {
        replace(&self.path, &self.contents, self.metadata.mode() & 0o7777)?;
        let (user, group) = (self.metadata.uid(), self.metadata.gid());
        let restore = || {
            chown(&self.path, Some(user), Some(group))?;
            match read {
                true => Ok(()),
                false => fs::File::open(&self.path)?.set_modified(self.metadata.modified()?),
            }
        };
        restore().with_context(|| format!("cannot put {} back as it was", self.path.display()))
    }
}

/// Makes a link name another target, at once.
pub fn point(link: impl AsRef<Path>, target: &str) -> Result<()> {
    let link = link.as_ref();
    let next = link.with_extension("next");
    remove(&next)?;
    symlink(target, &next)
        .and_then(|()| fs::rename(&next, link))
        .with_context(|| format!("cannot make {} name {target}", link.display()))
}

/// The last part of what a link names.
pub fn pointed(link: impl AsRef<Path>) -> Option<String> {
    let target = fs::read_link(link).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// Removes a file or link; one that is not there is no error.
pub fn remove(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    absent(fs::remove_file(path)).with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes a file, and its directory with it where that holds drop-ins of a unit of ours and is empty then.
pub fn remove_with_drop_ins(path: impl AsRef<Path>) -> Result<()> {
    remove(&path)?;
    match path.as_ref().parent() {
        Some(directory) if crate::plan::names::is_drop_ins(directory) => remove_empty(directory),
        _ => Ok(()),
    }
}

/// Removes a directory with all that is in it.
pub fn remove_tree(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    absent(fs::remove_dir_all(path)).with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes a directory unless something is in it.
pub fn remove_empty(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    match fs::remove_dir(path) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        other => absent(other).with_context(|| format!("cannot remove {}", path.display())),
    }
}

fn absent(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes a directory with its parents, and sets its mode.
pub fn directory(path: impl AsRef<Path>, mode: u32) -> Result<()> {
    let path = path.as_ref();
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Gives a file or directory to a user and a group, with this mode.
pub fn give(path: impl AsRef<Path>, user: &str, group: &str, mode: u32) -> Result<()> {
    let path = path.as_ref();
    let owner = users::get_user_by_name(user).with_context(|| format!("no user {user}"))?;
    let members = users::get_group_by_name(group).with_context(|| format!("no group {group}"))?;
    chown(path, Some(owner.uid()), Some(members.gid()))
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(mode)))
        .with_context(|| format!("cannot give {} to {user}:{group}", path.display()))
}

/// Rewrites a file of the administrator's: behind a link where it is one, with the mode it has.
pub fn rewrite(path: impl AsRef<Path>, contents: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mode =
        fs::metadata(&target).map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777);
    replace(target, contents, mode)
}

/// Names in a directory, sorted; none where there is no such directory.
pub fn names(path: impl AsRef<Path>) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
