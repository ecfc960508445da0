//! The processes of an existing Synapse, which may run in containers.

use super::files::text;
use crate::host::files;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process of Synapse.
pub(super) struct Running {
    pub pid: u32,
    /// Its configuration files and directories, as paths that it knows.
    pub config: Vec<PathBuf>,
    /// Its program, if that is an absolute path.
    pub python: Option<String>,
    /// The number of its user.
    pub user: Option<u32>,
    /// Whether it has another root directory than this host.
    pub in_container: bool,
}

/// A kind of process of Synapse.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Main,
    Worker,
}

impl Kind {
    /// The kind of a process with these arguments, by the module or the script that Python runs.
    fn of(words: &[String]) -> Option<Self> {
        words.iter().find_map(|word| {
            let (_, script) = word.rsplit_once('/').unwrap_or(("", word));
            // NixOS starts a script through another one, and renames it.
            let script = script.trim_start_matches('.').trim_end_matches("-wrapped");
            match (word.as_str(), script) {
                ("synapse.app.homeserver", _) | (_, "synapse_homeserver") => Some(Self::Main),
                ("synapse.app.generic_worker", _) | (_, "synapse_worker") => Some(Self::Worker),
                _ => None,
            }
        })
    }
}

/// The main process that reads this file.
pub(super) fn running(file: &Path) -> Option<Running> {
    processes_that_read(file, Kind::Main).next()
}

/// The processes that read this file. They may run in a container in which the file has another path.
pub(super) fn processes_that_read(file: &Path, kind: Kind) -> impl Iterator<Item = Running> {
    let pids = files::names("/proc").into_iter();
    pids.filter_map(|name| name.parse().ok())
        .filter_map(move |pid: u32| {
            let line = files::of_process(pid, "cmdline")?;
            let words: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            if Kind::of(&words) != Some(kind) {
                return None;
            }
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            let config = configuration(&words, &files::working_directory(pid)?);
            let of_host = |path: &PathBuf| root.join(path.strip_prefix("/").unwrap_or(path));
            let reads = config.iter().map(of_host).any(|path| same(&path, file));
            let process = files::metadata(format!("/proc/{pid}"));
            reads.then(|| Running {
                pid,
                config,
                python: words.first().filter(|path| path.starts_with('/')).cloned(),
                user: process.map(|process| process.uid()),
                in_container: !same(&root, Path::new("/")),
            })
        })
}

/// The paths after -c and --config-path, relative to a working directory.
pub(super) fn configuration(words: &[String], directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let path = match word.as_str() {
            "-c" | "--config-path" => words.next().map(String::as_str),
            word => word
                .strip_prefix("--config-path=")
                .or(word.strip_prefix("-c").filter(|path| path.starts_with('/'))),
        };
        // The form that settings use.
        paths.extend(
            path.map(|path| PathBuf::from(text(&directory.join(path)).trim_end_matches('/'))),
        );
    }
    paths
}

/// Whether two paths are the same file.
pub(super) fn same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let metadata = files::metadata(path)?;
        Some((metadata.dev(), metadata.ino()))
    };
    id(one).is_some() && id(one) == id(other)
}

/// The process ID of a Synapse that reads one of these configuration files.
pub fn process_that_reads(config: &[PathBuf]) -> Option<u32> {
    config.iter().find_map(|file| Some(running(file)?.pid))
}
