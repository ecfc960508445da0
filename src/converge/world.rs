//! What converging asks of a host. How it converges, what it records and how it rolls back is the same on this host and
//! on the hosts in memory of the tests.

use super::verify::Expected;
use super::{Goal, SettingsChange};
use crate::plan::step::Step;
use crate::state::{Observed, Resource, State};
use anyhow::Result;
use std::collections::BTreeSet;

/// A host that is brought to an goal, for the length of one run.
pub trait World {
    /// A file that was replaced, as it was before.
    type Kept;

    /// All that concerns this state and the one before it. Changes nothing.
    fn observe(&self, desired: &State) -> Result<Observed>;

    /// The state of an earlier generation.
    fn generation(&self, number: u32) -> Result<State>;

    /// Before the step of this number, or, after the last one, before the verification: fails when the run is to end.
    fn between(&mut self, number: usize, step: &str) -> Result<()>;

    /// Does one step; a note about it. Resources are recorded by the caller.
    fn apply(&mut self, step: &Step, goal: &Goal) -> Result<Option<String>>;

    /// The file of a resource, where one is about to be replaced.
    fn keep(&self, resource: &Resource) -> Result<Option<Self::Kept>>;

    /// Puts a file back. `seen` is whether a process may have read the other one.
    fn put_back(&mut self, kept: &Self::Kept, seen: bool) -> Result<()>;

    /// Keeps the record of what this program made.
    fn record(&mut self, made: &BTreeSet<Resource>) -> Result<()>;

    /// Fails with all that is not as expected.
    fn verify(&mut self, expected: &Expected) -> Result<()>;

    /// Notes that processes run with this generation.
    fn applied(&mut self, generation: Option<u32>) -> Result<()>;

    /// From here on the run leads back: no signal ends it, and secrets that it was given no longer count.
    fn begin_rollback(&mut self);

    /// Puts the settings file back.
    fn restore_settings(&mut self, settings: &SettingsChange) -> Result<()>;

    /// Removes what a move of the database that was taken back has left.
    fn leave_migration(&mut self) -> Result<()>;

    /// Removes a generation that never came into use.
    fn forget_generation(&mut self, number: u32) -> Result<()>;
}
