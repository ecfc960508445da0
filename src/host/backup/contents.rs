//! The small files of a backup: settings, secrets, the signing key and the administrator's files, with the manifest. Root
//! reads each one without following a link of another account, and restic gets the copies.

use super::database::Counts;
use crate::failure::Failure;
use crate::host::accounts;
use crate::host::files::{self, Access, Scratch};
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The version of the format of the manifest.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const FILES: &str = "files";

/// The facts about a backup that a restore needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the format.
    pub format: u32,
    /// The version of this program.
    pub program: String,
    /// The server name.
    pub server: String,
    /// The kind of database: `postgresql` or `sqlite`.
    pub database: String,
    /// Counts in the database before the dump.
    pub before: Counts,
    /// Counts in the database after the dump.
    pub after: Counts,
    /// The number of the account that owned the media store.
    pub media_owner: u32,
    /// The number of media files.
    pub media: u64,
    /// The saved files.
    pub files: Vec<SavedFile>,
}

impl Manifest {
    /// The path of the manifest in its snapshot.
    pub const FILE: &str = "/manifest.json";

    /// Parses the manifest.
    ///
    /// # Errors
    /// When a newer release wrote it, or when it is damaged.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let manifest: Self =
            serde_json::from_str(text).context("cannot parse the manifest of the backup")?;
        if manifest.format > FORMAT {
            return Err(Failure::preflight(format!(
                "synapse-workers {} wrote this backup in a format that this release does not know",
                manifest.program
            ))
            .help("install that release or a newer one"));
        }
        Ok(manifest)
    }
}

/// A file with its owner. Numbers of accounts differ between hosts, so owners are names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedFile {
    /// The absolute path.
    pub path: String,
    /// The permissions.
    pub mode: u32,
    /// The name of its user.
    pub user: String,
    /// The name of its group.
    pub group: String,
}

/// A directory in memory with these files, closed to other accounts.
pub struct Contents {
    scratch: Scratch,
    files: Vec<SavedFile>,
}

impl Contents {
    /// An empty directory.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn new() -> Result<Self> {
        Ok(Self {
            scratch: Scratch::new(0o700)?,
            files: Vec::new(),
        })
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The directory with the files, in which each one has the path of its place on the host.
    pub fn root(&self) -> PathBuf {
        self.scratch.at(FILES)
    }

    fn copy(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Adds a file of the host, if it exists.
    ///
    /// # Errors
    /// When it is no regular file, or when an account other than root could have placed a link to it.
    pub fn add(&mut self, path: &str) -> Result<bool> {
        let Some(contents) = files::read(path)? else {
            return Ok(false);
        };
        let found =
            files::metadata(path).with_context(|| format!("{path} has just been removed"))?;
        let saved = SavedFile {
            path: path.to_owned(),
            mode: found.mode() & 0o777,
            user: accounts::name_of(found.uid()).unwrap_or_else(|| "root".to_owned()),
            group: accounts::group_name_of(found.gid()).unwrap_or_else(|| "root".to_owned()),
        };
        self.add_contents(saved, &contents)?;
        Ok(true)
    }

    /// Adds a file with these contents.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_contents(&mut self, saved: SavedFile, contents: &[u8]) -> Result<()> {
        files::replace(self.copy(&saved.path), contents, 0o600)?;
        self.files.push(saved);
        Ok(())
    }

    /// Writes the manifest, with the files that were added.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, manifest: Manifest) -> Result<()> {
        let manifest = Manifest {
            format: FORMAT,
            files: self.files.clone(),
            ..manifest
        };
        let text = serde_json::to_string_pretty(&manifest)?;
        files::replace(self.scratch.at(MANIFEST), text.as_bytes(), 0o600)
    }

    /// Reads the manifest of a restored directory.
    ///
    /// # Errors
    /// As for [`Manifest::parse`].
    pub fn manifest(&self) -> Result<Manifest, Failure> {
        let text = files::read_text(self.scratch.at(MANIFEST))?;
        Manifest::parse(&text.unwrap_or_default())
    }

    /// The contents of a file of a restored directory.
    ///
    /// # Errors
    /// When the backup does not have it.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        files::read(self.copy(path))?.with_context(|| format!("the backup lacks {path}"))
    }

    /// Puts a file in its place. An account that this host lacks is replaced by root.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn place(&self, file: &SavedFile, path: &Path) -> Result<()> {
        ensure!(path.is_absolute(), "{} is no absolute path", path.display());
        let contents = self.read(&file.path)?;
        let access = Access::of(&file.user, &file.group, file.mode)
            .or_else(|_| Access::of("root", "root", file.mode & 0o700))?;
        files::replace(path, &contents, access)
    }
}
