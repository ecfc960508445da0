//! The files of an existing Synapse: their contents, their owner, and whether an account can reach them.

use crate::host::accounts::name_of;
use crate::host::files;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The name of a file's owner, if it has one, and the numbers of its user and group.
///
/// # Errors
/// When there is no such file.
pub fn owner(path: &str) -> Result<(Option<String>, (u32, u32))> {
    let metadata =
        files::metadata(path).with_context(|| format!("cannot read the owner of {path}"))?;
    Ok((name_of(metadata.uid()), (metadata.uid(), metadata.gid())))
}

/// The contents of configuration files, and of the .yaml files in configuration directories, as Synapse reads them.
///
/// # Errors
/// When a file is missing or cannot be read.
pub fn read(config: &[PathBuf]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    for path in config {
        let listed = match files::is_directory(path) {
            true => files::names(path)
                .into_iter()
                .filter(|name| name.ends_with(".yaml"))
                .map(|name| path.join(name))
                .collect(),
            false => vec![path.clone()],
        };
        for path in listed {
            let contents = files::read(&path)?;
            ensure!(
                contents.is_some(),
                "{}: there is no such file",
                path.display()
            );
            read.extend(contents.map(|contents| (text(&path), contents)));
        }
    }
    Ok(read)
}

/// A directory on the way to this path that the account cannot enter. Access control lists are not read.
pub fn closed_directory(path: &str, user: Option<&str>, ids: (u32, u32)) -> Option<PathBuf> {
    let account = user.and_then(users::get_user_by_name);
    let (uid, groups) = match &account {
        Some(account) => {
            let groups = account.groups().unwrap_or_default();
            let groups = groups.iter().map(users::Group::gid);
            (
                account.uid(),
                groups.chain([account.primary_group_id()]).collect(),
            )
        }
        None => (ids.0, vec![ids.1]),
    };
    let closed = |directory: &&Path| {
        files::metadata(directory).is_some_and(|found| {
            let mode = match found.uid() == uid {
                true => found.mode() >> 6,
                false if groups.contains(&found.gid()) => found.mode() >> 3,
                false => found.mode(),
            };
            mode & 1 == 0
        })
    };
    let mut above: Vec<&Path> = Path::new(path).ancestors().skip(1).collect();
    above.reverse();
    above
        .into_iter()
        .find(|directory| closed(directory))
        .map(Path::to_owned)
}

/// A path as settings write it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
