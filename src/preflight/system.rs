//! Checks of the host as such.

use super::check::{Examined, Finding, finding, finding_if};
use crate::state::paths;

pub(super) fn root(at: &Examined) -> Option<Finding> {
    finding_if(!at.facts.root, "this needs root", "sudo synapse-workers …")
}

pub(super) fn systemd(at: &Examined) -> Option<Finding> {
    finding_if(
        !at.facts.systemd,
        "this host was not booted with systemd",
        "use a host where systemd is process 1; `synapse-workers render --root DIR` works anywhere",
    )
}

/// SELinux's policy for nginx does not know the sockets and files of this server.
pub(super) fn selinux(at: &Examined) -> Option<Finding> {
    finding_if(
        at.facts.selinux,
        "SELinux is enforcing, and its policy may keep nginx from the sockets of Synapse's processes",
        "after `install`, look for denials: ausearch -m AVC -ts recent; the section SELinux of \
         synapse-workers-security(7) says how to allow them",
    )
}

pub(super) fn replaceable(at: &Examined) -> Option<Finding> {
    let path = at.facts.replaceable.as_ref()?.display();
    finding(
        format!(
            "an account other than root can replace {path}, which units would run as root, and there is no {} that \
             they could run instead",
            paths::PROGRAM
        ),
        format!(
            "install the package again, or copy the program to where only root can write, and run it there: \
             install -o root -g root -m 755 {path} /usr/local/bin/synapse-workers"
        ),
    )
}
