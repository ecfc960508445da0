//! The operations that converging needs from a host. Converging, its records and its rollback are the same code on this
//! host and on the simulated hosts of the tests.

use super::verify::Expected;
use super::{Goal, SettingsChange};
use crate::plan::step::Step;
use crate::state::{Observed, Resource, State};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};

/// A host during one run.
pub trait World {
    /// The old contents of a file that is replaced.
    type Backup;

    /// Observes everything that concerns this state and the previous one. Changes nothing.
    ///
    /// # Errors
    /// When a record of this program is damaged, or when systemd does not answer.
    fn observe(&self, desired: &State) -> Result<Observed>;

    /// The state of an earlier generation.
    ///
    /// # Errors
    /// When there is no such generation, or when its manifest is damaged.
    fn generation(&self, number: u32) -> Result<State>;

    /// Called before the step of this number, or after the last step, before the verification.
    ///
    /// # Errors
    /// When a signal or a fail point ends the run here.
    fn between(&mut self, number: usize, step: &str) -> Result<()>;

    /// Applies one step and returns a note about it. The caller records resources.
    ///
    /// # Errors
    /// When the step fails; the host may then have a part of it.
    fn apply(&mut self, step: &Step, goal: &Goal) -> Result<Option<String>>;

    /// Backs up the file of a resource that is about to be replaced.
    fn back_up(&self, resource: &Resource) -> Result<Option<Self::Backup>>;

    /// Restores a replaced file. `seen` is whether a process may have read the new one.
    fn restore(&mut self, backup: &Self::Backup, seen: bool) -> Result<()>;

    /// Writes the record of resources that this program created.
    fn record(&mut self, created: &BTreeSet<Resource>) -> Result<()>;

    /// Verifies the server. Fails with all differences from the expected state.
    fn verify(&mut self, expected: &Expected) -> Result<()>;

    /// Records the generation that the processes run with.
    ///
    /// # Errors
    /// When the record cannot be written.
    fn applied(&mut self, generation: Option<u32>) -> Result<()>;

    /// Takes over secrets of the first host, on another host.
    fn hand_over(&mut self, secrets: &BTreeMap<String, String>);

    /// Called before a rollback: from here on no signal ends the run, and provided secrets no longer count.
    fn begin_rollback(&mut self);

    /// Restores the settings file.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    fn restore_settings(&mut self, settings: &SettingsChange) -> Result<()>;

    /// Removes the files of an unfinished move of the database after its rollback.
    fn discard_migration(&mut self) -> Result<()>;

    /// Removes a generation that was never in use.
    ///
    /// # Errors
    /// When it is in use, or when a file cannot be removed.
    fn forget_generation(&mut self, number: u32) -> Result<()>;
}
