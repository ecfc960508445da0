//! The state compressor: a timer, the service that it starts, and the script that takes the database from Synapse's
//! configuration.

use super::process_unit::Process;
use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::state::synapse_config;
use crate::state::units;
use anyhow::Result;
use askama::Template;

/// The installed version. It is the newest release on PyPI that contains the code; 0.1.4 was published without it.
pub const VERSION: &str = "0.1.2";

#[derive(Template)]
#[template(path = "synapse-compressor.service")]
struct Service<'a> {
    sandbox: Sandbox,
    process: Process<'a>,
    venv: &'a str,
    /// The files and directories that may name Synapse's database.
    configuration: Vec<String>,
}

#[derive(Template)]
#[template(path = "synapse-compressor.timer")]
struct Timer<'a> {
    calendar: &'a str,
}

#[derive(Template)]
#[template(path = "compressor/run.py")]
struct Program {}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.compressor.enabled
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let service = Service {
        sandbox: builder.sandbox(units::COMPRESS)?,
        process: Process::new(input, &input.settings.limits.worker_memory.show()),
        venv: paths::COMPRESSOR,
        configuration: synapse_config::of_database(&format!("{}/synapse", paths::CURRENT)),
    };
    builder.unit(units::COMPRESS, service.render()?);
    let calendar = input.settings.compressor.calendar.as_str();
    builder.unit(units::COMPRESSOR, Timer { calendar }.render()?);
    builder.text("compressor/run.py", Program {}.render()?);
    Ok(())
}
