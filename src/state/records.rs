//! The records of earlier runs, which determine the generations that processes may run with. Both the real host and the
//! in-memory model of the tests observe with them.

use super::{HOST, Observed, Resource, State};
use std::collections::{BTreeMap, BTreeSet};

/// The records of earlier runs, as read from disk.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The generation that `current` links to.
    pub current: Option<u32>,
    /// The generation that was last applied completely.
    pub applied: Option<u32>,
    /// Generations that were switched to since; `None` if their record is damaged.
    pub switched: Option<Vec<u32>>,
    /// The generations on disk.
    pub written: Vec<u32>,
    /// Resources that an earlier run of this program created.
    pub created: BTreeSet<Resource>,
}

impl Records {
    /// The generations that processes may run with.
    pub fn generations(&self) -> BTreeSet<u32> {
        let switched = self.switched.iter().flatten().copied();
        let known = self.applied.into_iter().chain(switched);
        known.chain(self.current).collect()
    }

    /// One more than the highest number, including generations that are linked to but lost.
    fn next(&self) -> u32 {
        let pointed = self.current.into_iter().chain(self.applied);
        let highest = self.written.iter().copied().chain(pointed).max();
        highest.map_or(1, |last| last + 1)
    }
}

impl Observed {
    /// Builds the part of the observed state that follows from the records, before the host itself is observed.
    /// `states` are the states of the generations in the records.
    pub fn recorded(records: Records, states: BTreeMap<u32, State>) -> Self {
        let never_applied = records.applied.is_none() && records.current.is_some();
        let unknown = never_applied || records.switched.is_none();
        let mut observed = Self {
            next: records.next(),
            current: records.current,
            applied: records.applied,
            created: records.created,
            ..Self::default()
        };
        if unknown {
            // The first run was interrupted, or the record of a run is damaged: no process is known to run with these
            // files.
            observed.baselines.push(Default::default());
        }
        for state in states.into_values() {
            observed.baselines.push(state.files);
            observed.in_use.extend(state.resources);
        }
        observed
    }

    /// The files outside generations to look for, by their path in a generation.
    pub fn places(&self, desired: &State) -> BTreeSet<String> {
        let known = self.baselines.iter().flat_map(|files| files.keys());
        let all = known.chain(desired.files.keys());
        all.filter(|path| path.starts_with(HOST)).cloned().collect()
    }

    /// The resources to look for.
    pub fn candidates(&self, desired: &State) -> BTreeSet<Resource> {
        let wanted = desired.resources.union(&self.created).cloned();
        Resource::directories().chain(wanted).collect()
    }
}
