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
    work: Executor<W>,
    goal: &Goal,
    found: &Observed,
    report: &Report,
) -> Result<(), Errors> {
    let Executor {
        world,
        made,
        made_now,
        replaced,
        seen,
        ..
    } = work;
    world.begin_rollback();
    let mut errors = Errors::default();
    for file in &replaced {
        errors.note(world.put_back(file, seen));
    }
    if let Some(settings) = &goal.settings {
        errors.note(world.restore_settings(settings));
    }
    let way = way_back(world, found, made_now, seen);
    if let Some((before, target, observed, plan)) = errors.note(way) {
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
        backwards.made = made;
        backwards.apply_all(&plan, report, &mut errors);
        if goal.moving.is_some() {
            errors.note(world.leave_migration());
        }
        if errors.is_empty() {
            errors.note(world.applied(plan.generation));
            if goal.target == Target::Rendered && found.next < observed.next {
                errors.note(world.forget_generation(found.next));
            }
        }
    }
    errors.end()
}

/// The previous state, with the plan that leads to it.
fn way_back(
    world: &impl World,
    found: &Observed,
    made_now: BTreeSet<Resource>,
    seen: bool,
) -> Result<(State, Target, Observed, Plan)> {
    let (before, target) = match found.before() {
        Some(number) => (world.generation(number)?, Target::Generation(number)),
        None => (State::default(), Target::Nothing),
    };
    let mut observed = world.observe(&before)?;
    // Whatever this run created is removed; earlier resources stay.
    observed.resources.extend(made_now.iter().cloned());
    observed.created = made_now;
    let plan = Plan::back(&before, &observed, target, seen);
    Ok((before, target, observed, plan))
}
