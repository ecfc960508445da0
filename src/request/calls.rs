//! Compares options of the administrator with what Element Call needs, if the settings have a transport for it.

use crate::deployment::Deployment;

use crate::deployment::calls::{FEATURES, LIMITS, Limit, NEEDED};
use crate::deployment::owned_keys::{CLIENT_FILE, RTC};
use crate::failure::Failure;
use crate::pyyaml;
use crate::settings::TRANSPORTS_KEY;
use serde_yaml::Value;

/// Notes on options of the administrator that hinder calls, and on adopted ones that the settings replace. `place` is
/// the file and line of a top-level key of the administrator.
///
/// # Errors
/// Names the place of `experimental_features` that lacks a feature.
pub fn check(
    deployment: &Deployment,
    place: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    if !deployment.settings.rtc.is_on() {
        return Ok(Vec::new());
    }
    let at = |key: &str| place(key).unwrap_or_default();
    let mut notes = match deployment.option(FEATURES) {
        Some(features) => disabled(&features, &at(FEATURES))?,
        None => Vec::new(),
    };
    let limits = LIMITS.iter().filter(|limit| {
        let option = deployment.option(limit.option);
        option.is_some_and(|option| is_lower(limit, &option))
    });
    notes.extend(limits.map(|limit| {
        let ((rate, burst), option) = (limit.needed, limit.option);
        let place = at(option);
        format!("{place}: `{option}` is lower than Element Call needs: per_second: {rate}, burst_count: {burst}")
    }));
    notes.extend(replaced(deployment));
    Ok(notes)
}

/// Notes on features that the option sets to false.
fn disabled(features: &Value, place: &str) -> Result<Vec<String>, Failure> {
    let needed = NEEDED.iter().filter(|feature| feature.is_current);
    let needed: Vec<&str> = needed.map(|feature| feature.name).collect();
    let missing = needed.iter().filter(|name| features.get(**name).is_none());
    let missing: Vec<String> = missing.map(|name| format!("{name}: true")).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Failure::usage(format!(
            "{place}: `{FEATURES}` lacks {missing}, which Element Call needs, and replaces the list that `rtc` sets"
        ))
        .help(format!("add to `{FEATURES}` there: {missing}")));
    }
    let off = |name: &&&str| features.get(**name).and_then(pyyaml::truth) != Some(true);
    let off = needed.iter().filter(off);
    Ok(off
        .map(|name| format!("{place}: `{name}` is off, and Element Call needs it"))
        .collect())
}

/// Whether a limit of the administrator is lower than the calls need.
fn is_lower(limit: &Limit, option: &Value) -> bool {
    let number = |key: &str| option.get(key).and_then(Value::as_f64);
    let rate = number("per_second").unwrap_or(limit.default.0);
    let burst = number("burst_count").unwrap_or(limit.default.1.into());
    rate < limit.needed.0 || burst < limit.needed.1.into()
}

/// Notes on adopted values that the settings replace.
fn replaced(deployment: &Deployment) -> impl Iterator<Item = String> {
    let adopted = &deployment.adopted;
    let file = adopted.option(CLIENT_FILE);
    let in_file = file.is_some_and(|keys| keys.get(TRANSPORTS_KEY).is_some());
    let file = in_file.then_some((CLIENT_FILE, TRANSPORTS_KEY));
    let keys = RTC.map(|key| (key, key)).into_iter().chain(file);
    keys.filter_map(|(key, what)| {
        let place = adopted.place(key)?;
        Some(format!(
            "`rtc` in the settings replaces `{what}` in {place}"
        ))
    })
}
