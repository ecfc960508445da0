//! An existing Synapse on this host: the service that runs it, its files, its user and its Python.

use super::{Systemd, files, synapse};
use crate::failure::Failure;
use crate::state::accounts;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Service names that packages and guides use for Synapse. They are queried when Synapse is not running.
const SERVICES: &[&str] = &["matrix-synapse.service", "synapse.service"];

/// An existing Synapse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Configuration files and directories, in the order in which Synapse reads them.
    pub config: Vec<String>,
    /// The service of systemd that runs it, or that would start it with this file; `None` if there is no such service.
    pub service: Option<String>,
    /// Its system user.
    pub user: Option<String>,
    /// The numbers of its user and group, if they have no names on this host.
    pub ids: Option<(u32, u32)>,
    /// Its Python, if a search without a setting would find another one or none.
    pub python: Option<String>,
}

/// Finds the Synapse that reads this configuration file. Without systemd, only the files are examined.
///
/// # Errors
/// When it runs outside of any service, so that it could not be stopped permanently.
pub fn find(file: &Path, systemd: Option<&Systemd>) -> Result<Found> {
    let mut found = Found {
        config: beside(file),
        ..Found::default()
    };
    let Some(systemd) = systemd else {
        return Ok(found);
    };
    let running = running(file);
    if let Some(process) = &running {
        let unit = systemd.unit_of(process.pid);
        match unit.filter(|unit| unit.ends_with(".service")) {
            Some(unit) => found.service = Some(unit),
            None => {
                let problem = format!(
                    "the Synapse that reads {} runs as process {}, which is not part of a systemd service",
                    file.display(),
                    process.pid
                );
                let help = "stop it (docker stop …, synctl stop), and disable its automatic start";
                return Err(Failure::preflight(problem).help(help).into());
            }
        }
    }
    let candidates = found.service.clone().into_iter();
    for service in candidates.chain(SERVICES.iter().map(|name| (*name).to_owned())) {
        let Some(started) = systemd.command_of(&service)? else {
            continue;
        };
        let read = configuration(&started.command, Path::new("/"), Path::new("/"));
        if !read.iter().any(|path| same(path, file)) {
            continue;
        }
        found.config = read.iter().map(|path| text(path)).collect();
        found.user = Some(match started.user.is_empty() {
            true => accounts::ROOT.to_owned(),
            false => started.user,
        });
        found.python = started.command.first().and_then(|path| python(path));
        found.service = Some(service);
        break;
    }
    Ok(found)
}

/// The name of a file's owner, if it has one, and the numbers of its user and group.
///
/// # Errors
/// When there is no such file.
pub fn owner(path: &str) -> Result<(Option<String>, (u32, u32))> {
    let metadata =
        files::metadata(path).with_context(|| format!("cannot read the owner of {path}"))?;
    let user = users::get_user_by_uid(metadata.uid());
    let name = user.map(|user| user.name().to_string_lossy().into_owned());
    Ok((name, (metadata.uid(), metadata.gid())))
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

/// The file, and Debian's `conf.d` directory beside it.
fn beside(file: &Path) -> Vec<String> {
    let more = file.with_file_name("conf.d");
    let mut config = vec![text(file)];
    if files::is_directory(&more) {
        config.push(text(&more));
    }
    config
}

/// A main process of Synapse.
struct Running {
    pid: u32,
}

/// The main process that reads this file. It may run in a container in which the file has another path.
fn running(file: &Path) -> Option<Running> {
    let pids = files::names("/proc").into_iter();
    pids.filter_map(|name| name.parse().ok())
        .find_map(|pid: u32| {
            let line = files::of_process(pid, "cmdline")?;
            let words: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            let main = |word: &String| {
                word == "synapse.app.homeserver" || word.ends_with("/synapse_homeserver")
            };
            words.iter().find(|word| main(word))?;
            let root = PathBuf::from(format!("/proc/{pid}/root"));
            let directory = files::working_directory(pid)?;
            let read = configuration(&words, &root, &directory);
            read.iter()
                .any(|path| same(path, file))
                .then_some(Running { pid })
        })
}

/// The paths after -c and --config-path, relative to a root and a working directory.
fn configuration(words: &[String], root: &Path, directory: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let path = match word.as_str() {
            "-c" | "--config-path" => words.next().map(String::as_str),
            word => word
                .strip_prefix("--config-path=")
                .or(word.strip_prefix("-c").filter(|path| path.starts_with('/'))),
        };
        paths.extend(path.map(|path| {
            let path = directory.join(path);
            let path = root.join(path.strip_prefix("/").unwrap_or(&path));
            // The form that settings use.
            PathBuf::from(text(&path).trim_end_matches('/'))
        }));
    }
    paths
}

fn same(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| {
        let metadata = files::metadata(path)?;
        Some((metadata.dev(), metadata.ino()))
    };
    id(one).is_some() && id(one) == id(other)
}

/// The path of a Python with Synapse, unless a search without a setting finds the same one.
fn python(path: &str) -> Option<String> {
    let found = synapse::find(Some(Path::new(path)))?;
    (synapse::find(None).map(|usual| usual.python) != Some(found.python)).then(|| path.to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
