//! Synapse's user and group on the host.

use crate::settings::Settings;
use crate::state::{accounts, paths};
use std::collections::BTreeSet;

/// Synapse's user and group on the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// The number of the user.
    pub uid: Option<u32>,
    /// The number of this program's group.
    pub gid: Option<u32>,
    /// The primary group of the user, if that is not this program's group.
    pub user_group: Option<String>,
    /// The existing user with the number of `synapse.uid`.
    pub uid_holder: Option<String>,
    /// The existing group with the number of `synapse.gid`.
    pub gid_holder: Option<String>,
    /// A reserved account with the number of Synapse's user, under another name.
    pub same_user: Option<&'static str>,
    /// A privileged group with the number of this program's group, under another name.
    pub same_group: Option<&'static str>,
    /// The privileged groups that the user is in.
    pub privileged_groups: Vec<&'static str>,
}

/// The name of a user, if it has one.
pub(super) fn name_of(user: u32) -> Option<String> {
    let user = users::get_user_by_uid(user)?;
    Some(user.name().to_string_lossy().into_owned())
}

/// The name of a group, if it has one.
pub(super) fn group_name_of(group: u32) -> Option<String> {
    let group = users::get_group_by_gid(group)?;
    Some(group.name().to_string_lossy().into_owned())
}

impl Accounts {
    /// Reads the accounts of this host.
    pub(super) fn gather(settings: &Settings) -> Self {
        let user = users::get_user_by_name(settings.synapse.user.as_str());
        let name = |name: &std::ffi::OsStr| name.to_string_lossy().into_owned();
        let uid_holder = settings.synapse.uid.and_then(|uid| name_of(uid.get()));
        let gid_holder = settings.synapse.gid.and_then(|gid| {
            let holder = users::get_group_by_gid(gid.get())?;
            Some(name(holder.name()))
        });
        let own = user
            .as_ref()
            .and_then(|user| users::get_group_by_gid(user.primary_group_id()));
        let uid = user.as_ref().map(|user| user.uid());
        let gid = users::get_group_by_name(paths::GROUP).map(|group| group.gid());
        // The kernel distinguishes accounts by number only, whatever their names are.
        let wanted_uid = uid.or(settings.synapse.uid.map(|uid| uid.get()));
        let wanted_gid = gid.or(settings.synapse.gid.map(|gid| gid.get()));
        let number_of = |group: &str| users::get_group_by_name(group).map(|group| group.gid());
        let mut groups = BTreeSet::new();
        if let Some(user) = &user {
            groups.insert(user.primary_group_id());
            let more = users::get_user_groups(user.name(), user.primary_group_id());
            groups.extend(more.unwrap_or_default().iter().map(|group| group.gid()));
        }
        Self {
            same_user: wanted_uid.and_then(|uid| {
                accounts::all_reserved().find(|name| {
                    users::get_user_by_name(name).is_some_and(|reserved| reserved.uid() == uid)
                })
            }),
            same_group: wanted_gid.and_then(|gid| {
                accounts::privileged_groups().find(|name| number_of(name) == Some(gid))
            }),
            privileged_groups: accounts::privileged_groups()
                .filter(|name| number_of(name).is_some_and(|gid| groups.contains(&gid)))
                .collect(),
            uid,
            gid,
            user_group: own
                .map(|group| name(group.name()))
                .filter(|name| name != paths::GROUP),
            uid_holder,
            gid_holder,
        }
    }
}
