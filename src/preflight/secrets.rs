//! Checks of secrets that only the administrator can provide.

use super::check::{Examined, Finding, finding};
use crate::deployment::secrets;

pub(super) fn missing(at: &Examined) -> Option<Finding> {
    let deployment = at.conditions();
    let lacking = secrets::SECRETS.iter().find(|secret| {
        let there = at.facts.given.contains_key(secret.name) || at.facts.kept.contains(secret.name);
        !secret.generated && !there && (secret.wanted)(&deployment) && (secret.needed)(&deployment)
    })?;
    finding(
        format!("the {} is not provided", lacking.name.replace('_', " ")),
        lacking.way,
    )
}

pub(super) fn unusable_file(at: &Examined) -> Option<Finding> {
    let deployment = at.conditions();
    let wanted = |name: &str| secrets::secret(name).is_some_and(|it| (it.wanted)(&deployment));
    let (_, error) = at.facts.unusable.iter().find(|(name, _)| wanted(name))?;
    finding(
        error.clone(),
        "write the password into it, as one line that root can read",
    )
}
