//! The units that revert an unconfirmed trial. They belong to no generation, because they must survive the switch to
//! another one.

use super::filters;
use crate::state::trial::Trial;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::path::Path;

#[derive(Template)]
#[template(path = "synapse-trial.timer")]
struct Timer<'a> {
    trial: &'a Trial,
}

#[derive(Template)]
#[template(path = "synapse-trial.service")]
struct Service<'a> {
    trial: &'a Trial,
    program: String,
}

/// The unit files, each with its name.
///
/// # Errors
/// Fails only if a template cannot be rendered, which is a bug in this program.
pub fn units(trial: &Trial, program: &Path) -> Result<[(&'static str, String); 2]> {
    let timer = Timer { trial };
    let service = Service {
        trial,
        program: program.display().to_string(),
    };
    Ok([
        (units::TRIAL, format!("{}\n", service.render()?)),
        (units::TRIAL_TIMER, format!("{}\n", timer.render()?)),
    ])
}
