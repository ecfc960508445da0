//! Files of a new worker that need no validation, because those of another worker, which differ in the name only, were
//! validated with the generation in use.

use super::step::FileChange;
use crate::state::State;
use crate::state::synapse_config;
use crate::state::units;
use std::collections::{BTreeMap, BTreeSet};

/// The keys whose values contain the name of the worker, in its own file and in the drop-ins of its unit.
const NAMED: [&str; 3] = ["worker_name:", "path:", "ExecStart="];

/// Directories of a generation with the files that make up the configuration of a process.
const CONFIGURATION: [&str; 2] = ["synapse/", "secrets/synapse.d/"];

/// The kind of a worker's file, and its lines without the name of the worker.
type Nameless<'a> = (&'a str, Vec<String>);

/// The files of workers that were validated with the generation in use.
pub(super) struct Validated<'a> {
    desired: &'a State,
    files: BTreeSet<Nameless<'a>>,
}

impl<'a> Validated<'a> {
    /// The unchanged files of workers. The name of such a worker must not occur in the configuration that processes
    /// share: the same option may have another effect on a worker that is named there.
    pub fn new(desired: &'a State, changes: &[FileChange]) -> Self {
        let changed: BTreeSet<&String> = changes.iter().map(|change| &change.path).collect();
        let mut shared: BTreeMap<&str, bool> = BTreeMap::new();
        let unchanged = desired.files.keys().filter(|path| !changed.contains(path));
        let files = unchanged.filter_map(|path| {
            let (name, _) = worker_of(path)?;
            let shared = shared
                .entry(name)
                .or_insert_with(|| is_shared(desired, name));
            nameless(desired, path).filter(|_| !*shared)
        });
        let files = files.collect();
        Self { desired, files }
    }

    /// Whether a file equals one of another worker, but for the name.
    pub fn contains(&self, path: &'a str) -> bool {
        let file = nameless(self.desired, path);
        let name = worker_of(path).map(|(name, _)| name);
        file.is_some_and(|file| self.files.contains(&file))
            && name.is_some_and(|name| !is_shared(self.desired, name))
    }
}

/// Whether this text occurs in the configuration that processes share.
fn is_shared(state: &State, name: &str) -> bool {
    let mut shared = state.files.iter().filter(|(path, _)| {
        let own = path.strip_prefix("synapse/");
        CONFIGURATION.iter().any(|prefix| path.starts_with(prefix))
            && !own.is_some_and(synapse_config::is_own)
    });
    shared.any(|(_, file)| String::from_utf8_lossy(&file.contents).contains(name))
}

/// The worker that a file belongs to, and the kind of the file: its own configuration file, or the name of a drop-in of
/// its unit.
fn worker_of(path: &str) -> Option<(&str, &str)> {
    if let Some(own) = path.strip_prefix("synapse/workers/") {
        return Some((own.strip_suffix(".yaml")?, ""));
    }
    let worker = units::worker_of(units::drop_in_of(path)?)?;
    Some((worker, path.rsplit('/').next()?))
}

/// A worker's file without comments, and without the name of the worker where it is expected.
fn nameless<'a>(state: &State, path: &'a str) -> Option<Nameless<'a>> {
    let (name, kind) = worker_of(path)?;
    let text = std::str::from_utf8(&state.files.get(path)?.contents).ok()?;
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.map(|line| {
        let named = NAMED.iter().any(|key| line.trim_start().starts_with(key));
        match named {
            true => line.replace(name, ""),
            false => line.to_owned(),
        }
    });
    Some((kind, lines.collect()))
}
