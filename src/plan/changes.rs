//! Differences between the files of two states, and unmanaged files on the host.

use super::step::{ChangeKind, FileChange};
use crate::state::restart_rules::host_path;
use crate::state::{Observed, State};
use std::collections::BTreeSet;

/// Unmanaged files at paths that this program needs: no generation put them there.
pub fn foreign<'a>(desired: &'a State, observed: &Observed) -> Vec<&'a str> {
    let ours = |path: &String| {
        observed
            .baselines
            .iter()
            .any(|files| files.contains_key(path))
    };
    desired
        .files
        .iter()
        .filter(|(path, file)| {
            let found = observed.host_files.get(*path);
            found.is_some_and(|digest| *digest != file.digest) && !ours(path)
        })
        .filter_map(|(path, _)| host_path(path))
        .collect()
}

/// Files that differ from any baseline: after an interrupted run, a process may run with any of them.
pub(super) fn changes(desired: &State, observed: &Observed) -> Vec<FileChange> {
    let mut paths: BTreeSet<&String> = desired.files.keys().collect();
    paths.extend(observed.baselines.iter().flat_map(|files| files.keys()));
    let empty = [Default::default()];
    let baselines = match &observed.baselines[..] {
        [] => &empty[..],
        baselines => baselines,
    };
    let kind = |path: &String| {
        let wanted = desired.files.get(path).map(|file| &file.digest);
        let differing = baselines
            .iter()
            .map(|files| files.get(path).map(|file| &file.digest))
            .find(|found| *found != wanted)?;
        Some(match (differing, wanted) {
            (None, _) => ChangeKind::Added,
            (Some(_), None) => ChangeKind::Removed,
            (Some(_), Some(_)) => ChangeKind::Changed,
        })
    };
    paths
        .into_iter()
        .filter_map(|path| {
            Some(FileChange {
                path: path.clone(),
                kind: kind(path)?,
            })
        })
        .collect()
}
