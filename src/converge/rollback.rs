//! The rollback: a plan like any other, to the previous generation or to the empty state.

use super::Goal;
use super::errors::Errors;
use super::executor::Executor;
use super::verify::Expected;
use super::world::World;
use crate::plan::{Plan, Removal, Target};
use crate::report::Report;
use crate::state::{Observed, Resource, State};
use anyhow::Result;
use std::collections::BTreeSet;

/// Rolls back a failed run. `found` is the state that was observed before it.
///
/// # Errors
/// With every part of the rollback that failed.
pub(super) fn undo<W: World>(
    executor: Executor<W>,
    goal: &Goal,
    found: &Observed,
    report: &Report,
) -> Result<(), Errors> {
    let Executor {
        world,
        created,
        created_now,
        replaced,
        seen,
        ..
    } = executor;
    world.begin_rollback();
    let mut errors = Errors::default();
    for file in &replaced {
        errors.record(world.restore(file, seen));
    }
    if let Some(settings) = &goal.settings {
        errors.record(world.restore_settings(settings));
    }
    let planned = plan_rollback(world, found, created_now, seen);
    if let Some((before, target, observed, plan)) = errors.record(planned) {
        let back = Goal {
            desired: &before,
            target,
            removal: Removal::Undo,
            moving: None,
            settings: None,
            settings_text: String::new(),
            summary: String::new(),
            expected: Expected::default(),
        };
        let mut backwards = Executor::new(&mut *world, &back, &observed);
        backwards.created = created;
        backwards.apply_all(&plan, report, &mut errors);
        if goal.moving.is_some() {
            errors.record(world.discard_migration());
        }
        if errors.is_empty() {
            errors.record(world.applied(plan.generation));
            if goal.target == Target::Rendered && found.next < observed.next {
                errors.record(world.forget_generation(found.next));
            }
        }
    }
    errors.into_result()
}

/// The previous state, with the plan that leads to it.
fn plan_rollback(
    world: &impl World,
    found: &Observed,
    created_now: BTreeSet<Resource>,
    seen: bool,
) -> Result<(State, Target, Observed, Plan)> {
    let (before, target) = match found.before() {
        Some(number) => (world.generation(number)?, Target::Generation(number)),
        None => (State::default(), Target::Nothing),
    };
    let mut observed = world.observe(&before)?;
    // All resources that this run created are removed; earlier ones stay.
    observed.resources.extend(created_now.iter().cloned());
    observed.created = created_now;
    let plan = Plan::back(&before, &observed, target, seen);
    Ok((before, target, observed, plan))
}
