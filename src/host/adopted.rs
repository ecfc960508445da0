//! A Synapse that is on this host already: the service that runs it, its files, its user and its Python.

use super::{Systemd, files, synapse};
use crate::failure::Failure;
use crate::state::accounts;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Services that packages and guides have for Synapse: asked where it does not run now.
const SERVICES: &[&str] = &["matrix-synapse.service", "synapse.service"];

/// What was found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Configuration files and directories, in the order in which it reads them.
    pub config: Vec<String>,
    pub service: Option<String>,
    /// Its system user.
    pub user: Option<String>,
    /// The numbers of its user and group, where they have no name on this host.
    pub ids: Option<(u32, u32)>,
    /// Its Python, where that would not be found by itself.
    pub python: Option<String>,
}

/// Looks for the Synapse that reads this configuration file. Without systemd, at its files alone.
///
/// # Errors
/// When it runs outside of any service, so that nothing could stop it for good.
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
                    "the Synapse that reads {} runs as process {}, which no service of systemd started",
                    file.display(),
                    process.pid
                );
                let help = "stop it where it was started (docker stop …, synctl stop), and see that it does not come back";
                return Err(Failure::preflight(problem).help(help).into());
            }
        }
    }
    let candidates = found.service.clone().into_iter();
    for service in candidates.chain(SERVICES.iter().map(|name| (*name).to_owned())) {
        let Some(started) = systemd.started_by(&service)? else {
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

/// The user that owns a file, or its numbers.
pub fn owner(path: &str) -> Result<(Option<String>, (u32, u32))> {
    let metadata = files::metadata(path).with_context(|| format!("cannot look at {path}"))?;
    let user = users::get_user_by_uid(metadata.uid());
    let name = user.map(|user| user.name().to_string_lossy().into_owned());
    Ok((name, (metadata.uid(), metadata.gid())))
}

/// The contents of configuration files, and of what ends in .yaml in directories, as Synapse reads them.
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

/// The file, and Debian's directory of more beside it.
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

/// The main process that reads this file, also one in a container that sees it at another place.
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

/// The paths after -c and --config-path, as seen below a root and from a directory.
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
            // As the settings have it.
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

/// A Python with Synapse that is not the one that would be found anyway.
fn python(path: &str) -> Option<String> {
    let found = synapse::find(Some(Path::new(path)))?;
    (synapse::find(None).map(|usual| usual.python) != Some(found.python)).then(|| path.to_owned())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
