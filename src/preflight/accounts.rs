//! Checks of Synapse's user and group.

use super::check::{Examined, Finding, finding};
use crate::state::{accounts, paths};

/// An attacker who takes over Synapse gets all rights of its account, so it must have no more than Synapse needs. The
/// settings reject privileged names; this check rejects the numbers and groups behind a name.
pub(super) fn apart(at: &Examined) -> Option<Finding> {
    let (facts, wanted) = (&at.facts.accounts, &at.scope.settings.synapse);
    let (user, group) = (wanted.user.as_str(), paths::GROUP);
    if let Some(who) = facts.same_user.and_then(accounts::reserved) {
        let (key, problem) = match (facts.uid, wanted.uid) {
            (None, Some(uid)) => (
                "synapse.uid",
                format!("{} is the user ID of {who}", uid.get()),
            ),
            _ => ("synapse.user", format!("{user} has the user ID of {who}")),
        };
        return finding(
            format!("{key}: {problem}"),
            format!(
                "leave {key} empty, or name an account that nothing else uses, and give Synapse's files to it: \
                 chown -R {group}: …"
            ),
        );
    }
    if let Some((name, why)) = facts
        .same_group
        .and_then(|name| Some((name, accounts::privileged_group(name)?)))
    {
        return match (facts.gid, wanted.gid) {
            (None, Some(gid)) => finding(
                format!("synapse.gid: {} is the group {name}, and {why}", gid.get()),
                "choose another synapse.gid, or leave it empty",
            ),
            _ => finding(
                format!("the group {group} has the group ID of {name}, and {why}"),
                format!("give it another group ID: groupmod --gid NUMBER {group}"),
            ),
        };
    }
    let (name, why) = facts
        .privileged_groups
        .iter()
        .find_map(|name| Some((name, accounts::privileged_group(name)?)))?;
    finding(
        format!("synapse.user: {user} is in the group {name}, and {why}"),
        format!(
            "gpasswd --delete {user} {name} (if it is the primary group: usermod --gid {group} {user}), or set \
             synapse.user to another account"
        ),
    )
}

/// Existing accounts are not changed, and numbers of other accounts are not used.
pub(super) fn fit(at: &Examined) -> Option<Finding> {
    let (facts, wanted) = (&at.facts.accounts, &at.scope.settings.synapse);
    let (user, group) = (wanted.user.as_str(), paths::GROUP);
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
                    format!("synapse.{key}: {wanted}, but {name} already has the number {has}"),
                    format!("set synapse.{key} to {has}, or leave it empty"),
                ),
                (None, Some(other)) => finding(
                    format!("synapse.{key}: {wanted} is already the number of {other}"),
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
