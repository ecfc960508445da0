//! The snapshots of a repository, and the backups that they form. A backup is three snapshots with the tag of its run. The
//! one with the settings is made last, after the others succeeded, so its existence makes the backup complete.

use crate::host::files;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The tag of every snapshot of this program.
pub const OURS: &str = "synapse-workers";
/// The tag of the last snapshot of a backup.
pub const COMPLETE: &str = "complete";

/// A part of a backup, in the order in which parts are made: media to which the database refers must be in the backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// The dump of the database.
    Database,
    /// The media store.
    Media,
    /// The settings, secrets, signing key and the administrator's files, with the manifest.
    Settings,
}

impl Part {
    const ALL: [Self; 3] = [Self::Database, Self::Media, Self::Settings];

    /// The word in tags and in output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Media => "media",
            Self::Settings => "settings",
        }
    }
}

/// The facts about a run that all its snapshots have as tags.
#[derive(Clone, Debug)]
pub struct Tags {
    /// The ID of the run, eight hexadecimal digits.
    pub run: String,
    /// The start of the run, in seconds since 1970.
    pub time: u64,
    /// The server name, which is restic's host name: any host may continue the backups of a server.
    pub server: String,
}

impl Tags {
    /// The tags of a new run.
    ///
    /// # Errors
    /// When the kernel has no random bytes.
    pub fn new(server: &str, time: u64) -> Result<Self> {
        let bytes: [u8; 4] = files::random()?;
        Ok(Self {
            run: bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            time,
            server: server.to_owned(),
        })
    }

    /// The tags of a part in the syntax of `--tag`. The last part has the number and the size in bytes of all parts.
    pub fn of(&self, part: Part, all: Option<(usize, u64)>) -> String {
        let word = part.word();
        let last = all.map_or(String::new(), |(parts, bytes)| {
            format!(",{COMPLETE},parts={parts},bytes={bytes}")
        });
        format!(
            "{OURS},run={},time={},part={word}{last}",
            self.run, self.time
        )
    }
}

/// A snapshot as restic lists it.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    pub id: String,
    pub hostname: String,
    #[serde(default)]
    pub tags: Vec<String>,
}

impl Snapshot {
    fn value(&self, key: &str) -> Option<&str> {
        let mut tags = self.tags.iter();
        tags.find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='))
    }
}

/// One backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Run {
    /// The ID of the run.
    pub id: String,
    /// The start of the run, in seconds since 1970.
    pub time: u64,
    /// The name of the server.
    pub server: String,
    /// Whether all parts are there.
    pub complete: bool,
    /// The size of all parts in bytes; `None` if it is not complete.
    pub bytes: Option<u64>,
    /// The parts that are there, each with the ID of its snapshot.
    pub parts: BTreeMap<Part, String>,
}

/// The runs of these snapshots, the oldest first.
pub fn runs(snapshots: &[Snapshot]) -> Vec<Run> {
    let mut runs: BTreeMap<&str, Run> = BTreeMap::new();
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    for snapshot in snapshots {
        let part = Part::ALL
            .into_iter()
            .find(|part| snapshot.value("part") == Some(part.word()));
        let (Some(id), Some(part)) = (snapshot.value("run"), part) else {
            continue;
        };
        let number = |key| snapshot.value(key)?.parse().ok();
        let run = runs.entry(id).or_insert_with(|| Run {
            id: id.to_owned(),
            time: number("time").unwrap_or(0),
            server: snapshot.hostname.clone(),
            complete: false,
            bytes: None,
            parts: BTreeMap::new(),
        });
        run.parts.insert(part, snapshot.id.clone());
        run.bytes = run.bytes.or(number("bytes"));
        if snapshot.tags.iter().any(|tag| tag == COMPLETE) {
            wanted.extend(number("parts").map(|parts| (id.to_owned(), parts)));
        }
    }
    let mut runs: Vec<Run> = runs.into_values().collect();
    for run in &mut runs {
        run.complete = wanted.get(&run.id) == Some(&(run.parts.len() as u64));
    }
    runs.sort_by_key(|run| run.time);
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(id: &str, tags: &str) -> Snapshot {
        Snapshot {
            id: id.to_owned(),
            hostname: "example.org".to_owned(),
            tags: tags.split(',').map(str::to_owned).collect(),
        }
    }

    #[test]
    fn a_run_is_complete_only_with_all_its_parts() {
        let tags = Tags {
            run: "0a1b2c3d".to_owned(),
            time: 7,
            server: "example.org".to_owned(),
        };
        let mut all = vec![
            snapshot("x", "of-the-administrator"),
            snapshot("1", &tags.of(Part::Database, None)),
            snapshot("2", &tags.of(Part::Media, None)),
        ];
        let found = runs(&all);
        assert_eq!(
            (found.len(), found[0].complete, found[0].bytes),
            (1, false, None)
        );
        all.push(snapshot("3", &tags.of(Part::Settings, Some((3, 42)))));
        let found = runs(&all);
        assert_eq!((found[0].complete, found[0].bytes), (true, Some(42)));
        assert_eq!(found[0].parts[&Part::Media], "2");
        // An administrator has removed a snapshot.
        all.remove(1);
        assert!(!runs(&all)[0].complete);
    }

    #[test]
    fn runs_are_in_the_order_of_their_times() {
        let all = [("b", 2), ("a", 3), ("c", 1)].map(|(run, time)| {
            snapshot(
                run,
                &format!("synapse-workers,run={run},time={time},part=media"),
            )
        });
        let order: Vec<String> = runs(&all).into_iter().map(|run| run.id).collect();
        assert_eq!(order, ["c", "b", "a"]);
    }
}
