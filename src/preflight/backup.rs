//! Checks of backups.

use super::check::{Examined, Finding, finding, finding_if};

pub(super) fn environment(at: &Examined) -> Option<Finding> {
    let failure = at.facts.backup_environment.as_ref()?;
    finding(failure.problem(), failure.cure().unwrap_or_default())
}

pub(super) fn recent(at: &Examined) -> Option<Finding> {
    finding_if(
        at.facts.backup_overdue,
        format!(
            "the newest complete backup is older than backup.max_age, {}",
            at.scope.settings.backup.max_age.as_str()
        ),
        "journalctl -e -u synapse-backup, then: synapse-workers backup now",
    )
}
