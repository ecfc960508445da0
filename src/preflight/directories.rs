//! Checks of directories that settings name.

use super::check::{Examined, Finding, finding};
use crate::state::accounts;

pub(super) fn media(at: &Examined) -> Option<Finding> {
    let settings = &at.scope.settings;
    // The owner may be a number without a name, which the new user will get.
    let number = settings.synapse.uid.map(|uid| uid.get().to_string());
    let user = &at.facts.user;
    let owner = at
        .facts
        .media_owner
        .as_ref()
        .filter(|owner| *owner != user && Some(*owner) != number.as_ref())?;
    let path = settings.media_store_path.as_str();
    finding(
        format!("media_store_path: {path} exists and belongs to {owner}"),
        format!(
            "set it to a directory that does not exist, such as {path}/synapse, which is then created; or, if the \
             directory contains nothing else: chown {user}: {path}"
        ),
    )
}

pub(super) fn web_root(at: &Examined) -> Option<Finding> {
    let problem = at.facts.web_root.as_ref()?;
    let path = at.scope.settings.nginx.web_root.as_ref()?.as_str();
    finding(
        format!("nginx.web_root: {problem}"),
        format!(
            "put the files of the web client into {path}, and allow every account to read them: chmod -R a+rX {path}; or leave \
             nginx.web_root empty"
        ),
    )
}

pub(super) fn socket(at: &Examined) -> Option<Finding> {
    let owner = at.facts.socket_owner.as_ref();
    let owner = owner.filter(|owner| *owner != accounts::NGINX.name)?;
    let socket = at.scope.settings.nginx.listen_unix_socket.as_ref()?;
    if at.scope.keeps_socket_directory()
        && [accounts::ROOT, at.facts.user.as_str()].contains(&owner.as_str())
    {
        return None;
    }
    finding(
        format!(
            "nginx.listen_unix_socket: the directory of {} exists and belongs to {owner}",
            socket.as_str()
        ),
        "choose a directory that does not exist, which is then created; or remove this one if it is empty",
    )
}
