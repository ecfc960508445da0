//! Checks of secrets that only the administrator can provide.

use super::check::{Examined, Finding, finding};

pub(super) fn missing(at: &Examined) -> Option<Finding> {
    let missing = at.scope.secrets().find(|secret| {
        let exists =
            at.facts.provided.contains_key(secret.name) || at.facts.stored.contains(secret.name);
        !secret.generated && !exists && (secret.needed)(at.scope.deployment)
    })?;
    finding(
        format!("the {} is not provided", missing.name.replace('_', " ")),
        missing.how_to_provide,
    )
}

pub(super) fn unusable_file(at: &Examined) -> Option<Finding> {
    let wanted = |name: &str| at.scope.secrets().any(|secret| secret.name == name);
    let (_, error) = at.facts.unusable.iter().find(|(name, _)| wanted(name))?;
    finding(
        error.clone(),
        "write the secret into it, as one line that root can read",
    )
}
