//! Copies of a venv from the first host to other hosts with the same system. They need no access to a package index then, and
//! have the same versions of all packages. The parts of an archive travel over the connection to the agent.

use super::files;
use super::intact::UNFINISHED;
use super::python::minor_version_of;
use super::synapse;
use super::tools::{Stream, Tool};
use super::venv::received;
use crate::state::SynapseVenv;
use anyhow::{Context, Result};
use ct_codecs::{Base64, Decoder, Encoder};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The size of a part, in bytes: each waits for its answer, and no more is in memory.
const PART: u64 = 3 << 20;

/// The parts of a system that the programs and libraries of a venv depend on: its distribution, processor and Python.
pub fn system() -> String {
    let release = files::read_text("/etc/os-release").ok().flatten();
    let release = release.unwrap_or_default();
    // os-release(5); a value may be in quotes.
    let value = |key: &str| {
        let mut values = release.lines().filter_map(|line| line.strip_prefix(key));
        values.next().unwrap_or_default().trim_matches('"')
    };
    let python = minor_version_of(Path::new("python3"));
    let python = python.map_or_else(String::new, |(major, minor)| format!("{major}.{minor}"));
    let (name, number) = (value("ID="), value("VERSION_ID="));
    let processor = std::env::consts::ARCH;
    format!("{name} {number} on {processor} with Python {python}")
}

/// A part of the archive of a venv.
#[derive(Serialize, Deserialize)]
pub struct Part {
    venv: SynapseVenv,
    /// In Base64; empty at the end.
    bytes: String,
}

/// The archive of a venv, read while it is written.
pub struct Archive {
    venv: SynapseVenv,
    /// The program that writes it; `None` after its end.
    tar: Option<Stream>,
}

impl Archive {
    /// The archive of a venv of this host; `None` if it is missing or damaged.
    ///
    /// # Errors
    /// When tar cannot be started.
    pub fn of(venv: &SynapseVenv) -> Result<Option<Self>> {
        if synapse::ours(venv).is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            venv: venv.clone(),
            tar: Some(archive(&venv.directory())?),
        }))
    }
}

/// Starts tar. Byte code is left out: compiling it again takes less time than its transmission.
fn archive(directory: &str) -> Result<Stream> {
    Tool::new("tar")
        .args(["--create", "--use-compress-program=gzip -1"])
        .args(["--exclude=__pycache__", "--directory", directory, "."])
        .stream()
}

impl Iterator for Archive {
    type Item = Result<Part>;

    fn next(&mut self) -> Option<Self::Item> {
        let tar = self.tar.as_mut()?;
        let part = tar.read(PART).and_then(|bytes| {
            if bytes.is_empty() {
                // The last part says that the archive is complete.
                self.tar.take().map_or(Ok(()), Stream::finish)?;
            }
            Ok(Part {
                venv: self.venv.clone(),
                bytes: Base64::encode_to_string(&bytes).context("base64")?,
            })
        });
        if part.is_err() {
            self.tar = None;
        }
        Some(part)
    }
}

/// The copies that this host has received. Those that no step has used are removed when this is dropped.
#[derive(Default)]
pub struct Copies {
    /// The directories of the venvs.
    directories: Vec<String>,
    /// The program that unpacks the copy that is being received.
    tar: Option<Stream>,
}

impl Copies {
    /// Unpacks a part.
    ///
    /// # Errors
    /// When the parts are no archive, or when they cannot be written.
    pub fn take(&mut self, part: &Part) -> Result<()> {
        self.unpack(&part.venv.directory(), part)
            .with_context(|| format!("copying {}", part.venv))
    }

    fn unpack(&mut self, directory: &str, part: &Part) -> Result<()> {
        let partial = partial(directory);
        if self.tar.is_none() {
            self.directories.push(directory.to_owned());
            for old in [&partial, &received(directory)] {
                files::remove_tree(old)?;
            }
            files::directory(&partial, 0o755)?;
            self.tar = Some(unpacked_into(&partial)?);
        }
        let bytes = Base64::decode_to_vec(&part.bytes, None).context("base64")?;
        if let Some(tar) = self.tar.as_mut().filter(|_| !bytes.is_empty()) {
            return tar.write(&bytes);
        }
        self.tar.take().map_or(Ok(()), Stream::finish)?;
        files::replace(format!("{partial}/{UNFINISHED}"), b"", 0o644)?;
        files::rename(&partial, received(directory))
    }
}

/// Starts tar. All files belong to root, as pip would have created them.
fn unpacked_into(directory: &str) -> Result<Stream> {
    Tool::new("tar")
        .args(["--extract", "--gzip", "--no-same-owner"])
        .args(["--same-permissions", "--directory", directory])
        .stream()
}

impl Drop for Copies {
    fn drop(&mut self) {
        self.tar = None;
        for directory in &self.directories {
            for copy in [partial(directory), received(directory)] {
                let _ = files::remove_tree(copy);
            }
        }
    }
}

/// The directory of a copy that is being received.
fn partial(directory: &str) -> String {
    format!("{directory}.partial")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A venv with a program, a link and byte code, and the path of a copy.
    fn hosts() -> (tempfile::TempDir, String, String) {
        let root = tempfile::tempdir().unwrap();
        let venv = root.path().join("venv");
        std::fs::create_dir_all(venv.join("bin/__pycache__")).unwrap();
        std::fs::write(venv.join("bin/synctl"), "#!").unwrap();
        let mode = std::fs::Permissions::from_mode(0o751);
        std::fs::set_permissions(venv.join("bin/synctl"), mode).unwrap();
        std::fs::write(venv.join("bin/__pycache__/x.pyc"), "").unwrap();
        symlink("/usr/bin/python3", venv.join("bin/python")).unwrap();
        // More than one part, which gzip cannot make smaller.
        let mut random = vec![0; 4 << 20];
        getrandom::fill(&mut random).unwrap();
        std::fs::write(venv.join("library"), random).unwrap();
        let copy = root.path().join("copy").display().to_string();
        (root, venv.display().to_string(), copy)
    }

    fn parts(directory: &str) -> Vec<Part> {
        let archive = Archive {
            venv: SynapseVenv::base("1.163.2"),
            tar: Some(archive(directory).unwrap()),
        };
        archive.map(Result::unwrap).collect()
    }

    #[test]
    fn a_copy_equals_the_venv_except_for_byte_code() {
        let (_root, venv, copy) = hosts();
        let parts = parts(&venv);
        assert!(parts.len() > 2, "{} parts", parts.len());
        let mut copies = Copies::default();
        for part in &parts {
            copies.unpack(&copy, part).unwrap();
        }
        let received = received(&copy);
        let received = Path::new(&received);
        let read = |at: &Path| std::fs::read(at.join("library")).unwrap();
        assert!(read(received) == read(Path::new(&venv)));
        let program = std::fs::metadata(received.join("bin/synctl")).unwrap();
        assert_eq!(program.permissions().mode() & 0o7777, 0o751);
        let link = std::fs::read_link(received.join("bin/python")).unwrap();
        assert_eq!(link, Path::new("/usr/bin/python3"));
        assert!(!received.join("bin/__pycache__").exists());
        assert!(received.join(UNFINISHED).exists());
        assert!(!Path::new(&partial(&copy)).exists());
    }

    #[test]
    fn an_incomplete_copy_is_not_used_and_does_not_stay() {
        let (_root, venv, copy) = hosts();
        let mut copies = Copies::default();
        let parts = parts(&venv);
        copies.unpack(&copy, &parts[0]).unwrap();
        assert!(Path::new(&partial(&copy)).exists());
        let error = copies.unpack(&copy, parts.last().unwrap()).unwrap_err();
        assert!(error.to_string().contains("tar failed"), "{error:#}");
        assert!(!Path::new(&received(&copy)).exists());
        drop(copies);
        assert!(!Path::new(&partial(&copy)).exists());
    }

    #[test]
    fn a_copy_that_no_step_used_does_not_stay() {
        let (_root, venv, copy) = hosts();
        let mut copies = Copies::default();
        for part in &parts(&venv) {
            copies.unpack(&copy, part).unwrap();
        }
        assert!(Path::new(&received(&copy)).exists());
        drop(copies);
        assert!(!Path::new(&received(&copy)).exists());
    }
}
