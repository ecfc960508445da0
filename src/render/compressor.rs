//! The state compressor: a timer, the service that it starts, and the small program that finds the database.

use super::Sheaf;
use crate::paths;
use crate::plan::names;
use anyhow::Result;
use askama::Template;

/// The version that is installed. Of those on PyPI it is the newest that has its code: 0.1.4 was published without.
pub const VERSION: &str = "0.1.2";

#[derive(Template)]
#[template(path = "synapse-compressor.service")]
struct Service<'a> {
    user: &'a str,
    user_group: Option<&'a str>,
    venv: &'a str,
    current: &'a str,
    /// Synapse's configuration, in the order in which the main process reads it.
    options: Vec<String>,
}

#[derive(Template)]
#[template(path = "synapse-compressor.timer")]
struct Timer<'a> {
    calendar: &'a str,
}

#[derive(Template)]
#[template(path = "compressor/run.py")]
struct Program {}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let current = paths::CURRENT;
    let service = Service {
        user: input.settings.synapse.user.as_str(),
        user_group: input.facts.user_group.as_deref(),
        venv: paths::COMPRESSOR,
        current,
        options: vec![
            format!("{current}/synapse/adopted"),
            format!("{current}/synapse/homeserver.yaml"),
        ],
    };
    sheaf.unit(names::COMPRESS, service.render()?);
    let calendar = input.settings.compressor.calendar.as_str();
    sheaf.unit(names::COMPRESSOR, Timer { calendar }.render()?);
    sheaf.text("compressor/run.py", Program {}.render()?);
    Ok(())
}
