//! The part of the plan that has PostgreSQL read its rules for clients again.

use super::planner::Planner;
use super::restarts::reason;
use super::step::{Step, Verb};
use crate::state::Resource;
use crate::state::cluster::DebianCluster;
use crate::state::restart_rules::host_path;

impl Planner<'_> {
    /// The reload after these steps, if they write or remove this program's file with rules.
    pub(super) fn reload_rules(&self, steps: &[Step]) -> Option<Step> {
        steps.iter().find_map(|step| match step {
            Step::WriteFile { path, .. } | Step::RemoveFile { path } => self.reload(path),
            _ => None,
        })
    }

    /// The reload if PostgreSQL has not read that file since it changed, because a run was interrupted.
    pub(super) fn reload_unread_rules(&self) -> Option<Step> {
        let unread = self.observed.outdated.keys();
        let mut unread = unread.filter(|path| self.desired.files.contains_key(*path));
        unread.find_map(|path| self.reload(host_path(path)?))
    }

    /// The reload because of this file. A restart of PostgreSQL makes it unnecessary.
    fn reload(&self, path: &str) -> Option<Step> {
        let cluster = DebianCluster::of_rules(path)?;
        let restarts = self
            .missing()
            .any(|resource| matches!(resource, Resource::Listening { .. }));
        (!restarts).then(|| Step::Jobs {
            verb: Verb::Reload,
            units: vec![cluster.unit()],
            reasons: vec![reason(path)],
            rolling: None,
        })
    }
}
