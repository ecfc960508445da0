//! Options of the administrator that concern the calls of Element Call, compared with what these calls need.

use crate::deployment::Deployment;
use crate::deployment::adopted::{CLIENT_FILE, RTC};
use crate::deployment::calls::{FEATURES, LIMITS, Limit, NEEDED};
use crate::failure::Failure;
use crate::pyyaml;
use crate::settings::TRANSPORTS_KEY;
use serde_yaml::Value;

/// Notes on options that calls need otherwise; none without MatrixRTC. `place` is the file and line of a top-level key
/// of the administrator.
///
/// # Errors
/// Names the place of `experimental_features` without a feature that calls need.
pub fn check(
    deployment: &Deployment,
    place: impl Fn(&str) -> Option<String>,
) -> Result<Vec<String>, Failure> {
    if !deployment.settings.rtc.is_on() {
        return Ok(Vec::new());
    }
    let mut notes = Vec::new();
    let at = |key: &str| place(key).unwrap_or_else(|| "your files".to_owned());
    if let Some(features) = deployment.option(FEATURES) {
        let value = |name: &str| features.get(name);
        let current = NEEDED.iter().filter(|feature| feature.is_current);
        let current: Vec<&str> = current.map(|feature| feature.name).collect();
        let missing = current.iter().filter(|name| value(name).is_none());
        let missing: Vec<String> = missing.map(|name| format!("{name}: true")).collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            return Err(Failure::usage(format!(
                "{}: `{FEATURES}` lacks {missing}, which the calls of `rtc` need",
                at(FEATURES)
            ))
            .help(format!("add to `{FEATURES}` there: {missing}")));
        }
        let off = current
            .iter()
            .filter(|name| value(name).and_then(pyyaml::truth) == Some(false));
        notes.extend(off.map(|name| {
            format!(
                "{}: {name} is false, and the calls of `rtc` need it",
                at(FEATURES)
            )
        }));
    }
    notes.extend(LIMITS.iter().filter_map(|limit| {
        let option = deployment.option(limit.option)?;
        let (rate, burst) = limit.needed;
        is_lower(limit, &option).then(|| {
            format!(
                "{}: `{}` allows less than the calls of `rtc` need: per_second: {rate}, burst_count: {burst}",
                at(limit.option),
                limit.option
            )
        })
    }));
    let adopted = &deployment.adopted;
    let transports = adopted.option(CLIENT_FILE);
    let transports = transports.is_some_and(|keys| keys.get(TRANSPORTS_KEY).is_some());
    let replaced = RTC.map(|key| (key, key, adopted.has(key)));
    let replaced = replaced
        .into_iter()
        .chain([(CLIENT_FILE, TRANSPORTS_KEY, transports)]);
    notes.extend(
        replaced
            .filter(|(.., is_set)| *is_set)
            .map(|(key, what, _)| {
                let place = adopted.place(key).unwrap_or_default();
                format!("the settings in `rtc` replace `{what}` in {place}")
            }),
    );
    Ok(notes)
}

/// Whether a limit of the administrator is lower than the calls need.
fn is_lower(limit: &Limit, option: &Value) -> bool {
    let number = |key: &str| option.get(key).and_then(Value::as_f64);
    let rate = number("per_second").unwrap_or(limit.default.0);
    let burst = number("burst_count").unwrap_or(limit.default.1.into());
    rate < limit.needed.0 || burst < limit.needed.1.into()
}
