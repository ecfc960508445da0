//! Rules across settings, for values that are valid alone but not together: one file for each subject.

mod acme;
mod alerts;
mod backup;
mod calls;
mod cluster;
mod coturn;
mod database;
mod network;
mod nginx;
mod registration;
mod synapse;
mod urls;

pub use calls::TRANSPORTS_KEY;
pub use network::TCP_PORTS;

use super::origin::{Origin, SettingsError};
use super::table::Settings;
use std::collections::BTreeMap;

/// The key at fault, the problem, and the remedy.
type Violation = Option<(&'static str, String, String)>;

/// One condition on the settings.
type Rule = fn(&Settings) -> Violation;

/// All rules, in the order in which they are checked.
static RULES: &[&[Rule]] = &[
    synapse::RULES,
    database::RULES,
    acme::RULES,
    network::RULES,
    coturn::RULES,
    registration::RULES,
    urls::RULES,
    nginx::RULES,
    calls::RULES,
    backup::RULES,
    alerts::RULES,
    cluster::RULES,
];

/// The violation of a rule, if the condition is true: the key, then the problem and the remedy.
fn violated(
    condition: bool,
    key: &'static str,
    message: impl FnOnce() -> (String, String),
) -> Violation {
    condition.then(|| {
        let (problem, help) = message();
        (key, problem, help)
    })
}

/// Checks all rules. The error of the first violated rule names the origin of its key.
pub(super) fn check(
    settings: &Settings,
    origins: &BTreeMap<&'static str, Origin>,
) -> Result<(), SettingsError> {
    let violation = RULES
        .iter()
        .copied()
        .flatten()
        .find_map(|rule| rule(settings));
    let Some((key, problem, help)) = violation else {
        return Ok(());
    };
    let error = SettingsError::new(problem).help(help);
    Err(match origins.get(key) {
        Some(origin) => error.within(origin),
        None => error,
    })
}
