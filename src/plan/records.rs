//! What the records of earlier runs say: the generations that processes may run with. The host, and the hosts in memory
//! of the tests, observe by it.

use super::state::{HOST, Observed, Resource, State};
use std::collections::{BTreeMap, BTreeSet};

/// The records of earlier runs, as they are read.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// The generation that `current` names.
    pub current: Option<u32>,
    /// The generation that was last applied to its end.
    pub applied: Option<u32>,
    /// Generations switched to since; `None` where their record is damaged.
    pub switched: Option<Vec<u32>>,
    /// Generations on disk.
    pub written: Vec<u32>,
    /// Resources that an earlier run of this program made.
    pub made: BTreeSet<Resource>,
}

impl Records {
    /// The generations that processes may run with.
    pub fn generations(&self) -> BTreeSet<u32> {
        let switched = self.switched.iter().flatten().copied();
        let known = self.applied.into_iter().chain(switched);
        known.chain(self.current).collect()
    }

    /// One more than the highest number, those that are pointed at but lost included.
    fn next(&self) -> u32 {
        let pointed = self.current.into_iter().chain(self.applied);
        let highest = self.written.iter().copied().chain(pointed).max();
        highest.map_or(1, |last| last + 1)
    }
}

impl Observed {
    /// What is known before the host itself is looked at. `states` are those of the generations of the records.
    pub fn recorded(records: Records, states: BTreeMap<u32, State>) -> Self {
        let never_applied = records.applied.is_none() && records.current.is_some();
        let unknown = never_applied || records.switched.is_none();
        let mut observed = Self {
            next: records.next(),
            current: records.current,
            applied: records.applied,
            made: records.made,
            ..Self::default()
        };
        if unknown {
            // The first run was interrupted, or the record of one is damaged: nothing is known to run with these files.
            observed.baselines.push(Default::default());
        }
        for state in states.into_values() {
            observed.baselines.push(state.files);
            observed.in_use.extend(state.resources);
        }
        observed
    }

    /// Our files outside of generations that are looked for, by their path in one.
    pub fn places(&self, desired: &State) -> BTreeSet<String> {
        let known = self.baselines.iter().flat_map(|files| files.keys());
        let all = known.chain(desired.files.keys());
        all.filter(|path| path.starts_with(HOST)).cloned().collect()
    }

    /// Resources that are looked for.
    pub fn candidates(&self, desired: &State) -> BTreeSet<Resource> {
        let wanted = desired.resources.union(&self.made).cloned();
        Resource::directories().chain(wanted).collect()
    }
}
