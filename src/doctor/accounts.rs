//! Synapse's user and group.

use super::{Examined, Finding, finding};
use crate::paths;

/// Accounts that exist are not changed, and numbers that others have are not taken.
pub(super) fn fit(at: &Examined) -> Option<Finding> {
    let (facts, wanted) = (&at.facts.accounts, &at.scope.settings.synapse);
    let (user, group) = (wanted.user.as_str(), paths::GROUP);
    if facts.uid == Some(0) {
        return finding(
            format!("synapse.user: {user} is the administrator, who can read and write everything"),
            "leave synapse.user empty, and give Synapse's files to that user: chown -R synapse: …",
        );
    }
    if user != group && facts.uid.is_none() {
        return finding(
            format!("synapse.user: there is no user {user}"),
            format!(
                "useradd --system --shell /usr/sbin/nologin {user}, or leave synapse.user empty"
            ),
        );
    }
    let number =
        |key: &str, name: &str, wanted: Option<u32>, has: Option<u32>, holder: &Option<String>| {
            let wanted = wanted?;
            match (has, holder) {
                (Some(has), _) if has != wanted => finding(
                    format!("synapse.{key}: {wanted}, and {name} exists with {has}"),
                    format!("set synapse.{key} to {has}, or leave it empty"),
                ),
                (None, Some(other)) => finding(
                    format!("synapse.{key}: {wanted} is the number of {other} already"),
                    format!("choose another synapse.{key}, or leave it empty"),
                ),
                _ => None,
            }
        };
    let uid = wanted.uid.map(|uid| uid.get());
    let gid = wanted.gid.map(|gid| gid.get());
    number(
        "uid",
        &format!("the user {user}"),
        uid,
        facts.uid,
        &facts.uid_holder,
    )
    .or_else(|| {
        number(
            "gid",
            &format!("the group {group}"),
            gid,
            facts.gid,
            &facts.gid_holder,
        )
    })
}
