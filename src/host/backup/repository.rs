//! A repository of restic. The password and credentials are in files and in the environment of restic alone, never in a
//! list of processes.

use super::added::{Added, added, only_vanished, said, was_cut_off};
use super::environment;
use super::failures::{Cause, failure};
use super::snapshots::{COMPLETE, OURS, Run, Snapshot, runs};
use crate::failure::Failure;
use crate::host::files::{self, Scratch};
use crate::host::tools::{Output, Tool};
use crate::settings::Settings;
use crate::state::paths;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The timeout of one run of restic. The first backup of a large media store to a remote repository takes days.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// The number of status lines per second. They are not used.
const STATUS_RATE: &str = "0.0002";
/// restic's exit status when it could not read a part of the files.
const PARTLY: i32 = 3;

/// A repository with everything that restic needs to open it.
pub struct Repository {
    location: String,
    password_file: PathBuf,
    environment: Vec<(String, String)>,
    /// The directory of restic's cache; `None` for no cache.
    cache: Option<String>,
    /// Contains the password file, if the password was entered.
    _scratch: Option<Scratch>,
}

/// A group in the answer of `forget --json`.
#[derive(Deserialize)]
struct Kept {
    #[serde(default)]
    remove: Option<Vec<Snapshot>>,
}

impl Repository {
    /// The repository of the settings.
    ///
    /// # Errors
    /// When there is none, or when its password or the file with the credentials cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, Failure> {
        let backup = &settings.backup;
        let Some(location) = &backup.repository else {
            return Err(Failure::preflight("backup.repository is empty, so this server has no backups").help(
                "set backup.repository in the settings file, for example to /srv/backup, then: synapse-workers install",
            ));
        };
        let password_file = PathBuf::from(paths::secret(paths::BACKUP_PASSWORD));
        if !files::exists(&password_file) {
            return Err(Failure::preflight(format!(
                "the password of the repository is missing: {}",
                password_file.display()
            ))
            .help("restore the file from your copy (root:root, mode 0600); for a new repository: synapse-workers install"));
        }
        let environment = backup.environment_file.as_ref();
        Ok(Self {
            location: location.as_str().to_owned(),
            password_file,
            environment: environment
                .map_or(Ok(Vec::new()), |path| environment::read(path.as_path()))?,
            cache: Some(format!("{}/cache", paths::BACKUP)),
            _scratch: None,
        })
    }

    /// A repository at another location, with its password.
    ///
    /// # Errors
    /// When the password cannot be stored in memory, or when the file with the credentials cannot be read.
    pub fn at(location: &str, password: &str, environment: Option<&Path>) -> Result<Self, Failure> {
        let scratch = Scratch::new(0o700)?;
        let password_file = scratch.at("password");
        files::replace(&password_file, password.as_bytes(), 0o600)?;
        Ok(Self {
            location: location.to_owned(),
            password_file,
            environment: environment.map_or(Ok(Vec::new()), environment::read)?,
            cache: None,
            _scratch: Some(scratch),
        })
    }

    /// The location, as in the settings.
    pub fn location(&self) -> &str {
        &self.location
    }

    fn restic(&self, command: &str) -> Tool {
        let mut restic = Tool::new("restic")
            .args([command, "--json", "--quiet"])
            .env("HOME", "/root")
            .env("RESTIC_REPOSITORY", &self.location)
            .env("RESTIC_PASSWORD_FILE", &self.password_file)
            .env("RESTIC_PROGRESS_FPS", STATUS_RATE)
            .with_archives()
            .within(LIMIT)
            .interruptible();
        for (name, value) in &self.environment {
            restic = restic.env(name, value);
        }
        match &self.cache {
            Some(path) => restic.env("RESTIC_CACHE_DIR", path),
            None => restic.args(["--no-cache"]),
        }
    }

    fn run(&self, tool: Tool) -> Result<String, Failure> {
        self.text(&tool.output()?)
    }

    fn text(&self, output: &Output) -> Result<String, Failure> {
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(self.failure(output).1),
        }
    }

    /// Whether the repository exists and the password opens it.
    ///
    /// # Errors
    /// When it cannot be reached, or not be opened with this password.
    pub fn is_there(&self) -> Result<bool, Failure> {
        let output = self.restic("cat").args(["config"]).output()?;
        if output.status.success() {
            return Ok(true);
        }
        match self.failure(&output) {
            (Cause::Missing, _) => Ok(false),
            (_, failure) => Err(failure),
        }
    }

    fn failure(&self, output: &Output) -> (Cause, Failure) {
        let (cause, failure) = failure(&self.location, output);
        let entered = cause == Cause::Password && self._scratch.is_some();
        let failure = match entered {
            true => failure.help(format!(
                "enter the password of this repository, which the old host has in {}",
                paths::secret(paths::BACKUP_PASSWORD)
            )),
            false => failure,
        };
        (cause, failure)
    }

    /// Creates the repository.
    ///
    /// # Errors
    /// When its place cannot be written to.
    pub fn create(&self) -> Result<(), Failure> {
        self.run(self.restic("init")).map(drop)
    }

    /// The backups in it, those of one server or all, the oldest first.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn runs(&self, server: Option<&str>) -> Result<Vec<Run>, Failure> {
        let mut restic = self.restic("snapshots").args(["--no-lock", "--tag", OURS]);
        if let Some(server) = server {
            restic = restic.args(["--host", server]);
        }
        let text = self.run(restic)?;
        let snapshots: Vec<Snapshot> =
            serde_json::from_str(&text).context("cannot parse restic's list of snapshots")?;
        Ok(runs(&snapshots))
    }

    /// Adds the output of a program as a file. If the program fails, the snapshot is removed again.
    ///
    /// # Errors
    /// When one of both fails.
    pub fn add_output(
        &self,
        source: Tool,
        file: &str,
        server: &str,
        tags: &str,
    ) -> Result<Added, Failure> {
        let restic = self.restic("backup").args([
            "--host",
            server,
            "--tag",
            tags,
            "--stdin",
            "--stdin-filename",
            file,
        ]);
        let (wrote, read) = source.piped_to(restic)?;
        let blameless = wrote.status.success() || (was_cut_off(&wrote) && !read.status.success());
        if blameless {
            return self.text(&read).and_then(|text| added(&text));
        }
        // The file has no end. Without the last part of its run it is never restored, so this is only tidiness.
        if let Ok(added) = added(&String::from_utf8_lossy(&read.stdout)) {
            let _ = self.forget(&[added.snapshot]);
        }
        Err(Failure::failed(said(&wrote)))
    }

    /// Adds the contents of a directory, without the names that match `excluded`.
    ///
    /// # Errors
    /// When a file that is still there cannot be read, or when the repository cannot be written to.
    pub fn add_directory(
        &self,
        directory: &Path,
        excluded: &[String],
        server: &str,
        tags: &str,
    ) -> Result<Added, Failure> {
        let excluded = excluded.iter().map(|path| format!("--exclude={path}"));
        let output = self
            .restic("backup")
            .directory(directory)
            .args(["--host", server, "--tag", tags])
            .args(excluded)
            .args(["."])
            .output()?;
        // Files that vanish meanwhile are no loss: Synapse deletes media.
        if output.status.code() == Some(PARTLY) && only_vanished(&output.stderr, directory) {
            return added(&String::from_utf8_lossy(&output.stdout));
        }
        self.text(&output).and_then(|text| added(&text))
    }

    /// Passes a file of a snapshot to a program.
    ///
    /// # Errors
    /// When one of both fails.
    pub fn stream(&self, snapshot: &str, file: &str, reader: Tool) -> Result<String, Failure> {
        let restic = self.restic("dump").args([snapshot, file]);
        let (sent, read) = restic.piped_to(reader)?;
        // A restic that fails has an exit status. If the reader ends early, restic dies of a signal, and the reader's message is
        // the reason.
        if sent.status.code().is_some() {
            self.text(&sent)?;
        }
        if !read.status.success() {
            return Err(Failure::failed(said(&read)));
        }
        self.text(&sent)?;
        Ok(String::from_utf8_lossy(&read.stdout).into_owned())
    }

    /// The contents of a small file of a snapshot.
    ///
    /// # Errors
    /// When the repository cannot be read, or when the snapshot lacks the file.
    pub fn read(&self, snapshot: &str, file: &str) -> Result<String, Failure> {
        self.run(self.restic("dump").args([snapshot, file]))
    }

    /// Writes the contents of a snapshot into a directory.
    ///
    /// # Errors
    /// When the repository cannot be read or the directory not be written.
    pub fn extract(&self, snapshot: &str, target: &Path) -> Result<(), Failure> {
        let restic = self
            .restic("restore")
            .args([snapshot, "--target"])
            .args([target]);
        self.run(restic).map(drop)
    }

    /// Removes snapshots, and the data that no other snapshot has.
    ///
    /// # Errors
    /// When the repository cannot be written to.
    pub fn forget(&self, snapshots: &[String]) -> Result<(), Failure> {
        if snapshots.is_empty() {
            return Ok(());
        }
        self.run(self.restic("forget").args(["--prune"]).args(snapshots))
            .map(drop)
    }

    /// Removes locks of programs that have ended.
    ///
    /// # Errors
    /// When the repository cannot be written to.
    pub fn unlock(&self) -> Result<(), Failure> {
        self.run(self.restic("unlock")).map(drop)
    }

    /// The snapshots that complete a run and that the retention of the settings does not keep, by restic's own rules.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub fn outdated(&self, settings: &Settings) -> Result<Vec<String>, Failure> {
        let backup = &settings.backup;
        let kept = [
            ("--keep-daily", backup.keep_daily.get()),
            ("--keep-weekly", backup.keep_weekly.get()),
            ("--keep-monthly", backup.keep_monthly.get()),
        ];
        if kept.iter().all(|(_, number)| *number == 0) {
            return Ok(Vec::new());
        }
        let mut restic =
            self.restic("forget")
                .args(["--dry-run", "--no-lock", "--group-by", "host"]);
        restic = restic.args(["--host", settings.server_name.as_str()]);
        restic = restic.args(["--tag", &format!("{OURS},{COMPLETE}")]);
        for (option, number) in kept.iter().filter(|(_, number)| *number > 0) {
            restic = restic.args([*option, &number.to_string()]);
        }
        let text = self.run(restic)?;
        let groups: Vec<Kept> = match text.trim() {
            "" => Vec::new(),
            text => serde_json::from_str(text).context("cannot parse restic's answer")?,
        };
        let removed = groups
            .into_iter()
            .flat_map(|group| group.remove.unwrap_or_default());
        Ok(removed.map(|snapshot| snapshot.id).collect())
    }

    /// Checks the structure of the repository.
    ///
    /// # Errors
    /// When the repository is damaged.
    pub fn check(&self) -> Result<(), Failure> {
        self.run(self.restic("check")).map(drop)
    }
}
