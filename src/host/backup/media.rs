//! The media store: what of it a backup contains, and its way back to Synapse's account.

use super::added::Added;
use super::repository::Repository;
use super::snapshots::{Part, Tags};
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::host::files;
use crate::state::paths;
use anyhow::{Context, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Directories that Synapse fills again by itself: pages of URL previews, and thumbnails of media of other homeservers
/// (media/filepath.py; media/thumbnailer.py and media/media_repository.py create missing files).
const CACHES: &[&str] = &["url_cache", "url_cache_thumbnails", "remote_thumbnail"];
/// Copies of media of other homeservers.
const REMOTE: &str = "remote_content";

/// A media store.
pub struct Media {
    path: PathBuf,
    remote: bool,
}

impl Media {
    /// The media store of a deployment.
    pub fn of(deployment: &Deployment) -> Self {
        Self {
            path: deployment.settings.media_store_path.as_path().to_owned(),
            remote: deployment.settings.backup.remote_media,
        }
    }

    /// The number of the account that owns the media store; `None` if it does not exist.
    pub fn owner(&self) -> Option<u32> {
        files::metadata(&self.path).map(|found| found.uid())
    }

    /// Adds the media to a repository; `None` if there are none. restic compares the modification times with those of the
    /// backup before, and reads only new files.
    ///
    /// # Errors
    /// When a file cannot be read, or when the repository cannot be written to.
    pub fn add_to(&self, repository: &Repository, tags: &Tags) -> Result<Option<Added>, Failure> {
        let left_out =
            |name: &String| CACHES.contains(&name.as_str()) || (name == REMOTE && !self.remote);
        let names = files::names(&self.path);
        let (excluded, saved): (Vec<String>, Vec<String>) = names.into_iter().partition(left_out);
        if saved.is_empty() {
            return Ok(None);
        }
        let excluded: Vec<String> = excluded
            .iter()
            .map(|name| pattern(&self.path.join(name)))
            .collect();
        let words = tags.of(Part::Media, None);
        repository
            .add_directory(&self.path, &excluded, &tags.server, &words)
            .map(Some)
    }

    /// Restores the media from a snapshot. Files that belonged to another account than the media store are left out: a
    /// compromised Synapse could have placed a link through which root read them. Returns their number.
    ///
    /// # Errors
    /// When the snapshot cannot be read, or when a file cannot be written.
    pub fn restore(
        &self,
        repository: &Repository,
        snapshot: &str,
        owner: u32,
        user: &str,
    ) -> Result<u64, Failure> {
        // Only root enters the directory until every file has its owner.
        files::directory(&self.path, files::Access::of("root", "root", 0o700)?)?;
        repository.extract(snapshot, &self.path)?;
        self.give(owner, user)
    }

    /// Gives the media store to Synapse's account.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn give(&self, owner: u32, user: &str) -> Result<u64, Failure> {
        let access = files::Access::of(user, paths::GROUP, 0o750)?;
        let removed = files::give_tree(&self.path, owner, access).context("restoring the media")?;
        files::directory(&self.path, access)?;
        Ok(removed)
    }
}

/// A pattern of restic that matches this path alone.
fn pattern(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escaped = text.chars().flat_map(|c| match c {
        '*' | '?' | '[' | '\\' => vec!['\\', c],
        c => vec![c],
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_pattern() {
        assert_eq!(
            pattern(Path::new("/a[b]*/url_cache")),
            "/a\\[b]\\*/url_cache"
        );
    }
}
