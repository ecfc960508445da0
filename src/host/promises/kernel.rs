//! What the kernel reports of a process.

use crate::host::files;
use std::collections::{BTreeMap, BTreeSet};

/// The kinds of namespaces that units have of their own.
const NAMESPACES: [&str; 5] = ["ipc", "mnt", "net", "user", "uts"];

/// What the kernel reports of a process (proc(5)).
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The fields of `status`.
    pub status: BTreeMap<String, String>,
    /// The hard limits, by the names in `limits`.
    pub limits: BTreeMap<String, String>,
    /// The kinds of namespaces that are not those of the host.
    pub own: BTreeSet<&'static str>,
    /// The paths of its control groups, one for each hierarchy.
    pub groups: Vec<String>,
    /// The adjustment of its OOM score.
    pub oom_score_adj: String,
}

impl Seen {
    /// Reads a process; `None` if it has ended, or belongs to another account.
    pub fn of(process: u32) -> Option<Self> {
        let text = |name: &str| {
            let contents = files::of_process(process, name)?;
            Some(String::from_utf8_lossy(&contents).into_owned())
        };
        let mut own = BTreeSet::new();
        for kind in NAMESPACES {
            let of = |process| files::namespace(process, kind);
            if of(process)? != of(1)? {
                own.insert(kind);
            }
        }
        Some(Self {
            status: fields(&text("status")?),
            limits: hard_limits(&text("limits")?),
            own,
            groups: groups(&text("cgroup")?),
            oom_score_adj: text("oom_score_adj")?.trim().to_owned(),
        })
    }

    /// The words of a field of `status`.
    pub fn words(&self, field: &str) -> Vec<&str> {
        let text = self.status.get(field).map_or("", String::as_str);
        text.split_whitespace().collect()
    }
}

fn fields(status: &str) -> BTreeMap<String, String> {
    let lines = status.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

/// The hard limits. Columns are separated by two blanks or more: name, soft limit, hard limit, unit.
fn hard_limits(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().skip(1).filter_map(|line| {
        let mut columns = line.split("  ").map(str::trim).filter(|it| !it.is_empty());
        let (name, _, hard) = (columns.next()?, columns.next()?, columns.next()?);
        Some((name.to_owned(), hard.to_owned()))
    });
    lines.collect()
}

/// The paths in the lines NUMBER:CONTROLLERS:PATH (cgroups(7)).
fn groups(text: &str) -> Vec<String> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_limits_and_control_groups_are_found() {
        let limits = hard_limits(
            "Limit                     Soft Limit           Hard Limit           Units     \n\
             Max cpu time              unlimited            unlimited            seconds   \n\
             Max open files            1024                 524288               files     \n\
             Max nice priority         0                    0                    \n",
        );
        assert_eq!(limits["Max open files"], "524288");
        assert_eq!(limits["Max nice priority"], "0");
        assert_eq!(limits["Max cpu time"], "unlimited");
        let hybrid = "1:name=systemd:/system.slice/a:b.service\n0::/\n";
        assert_eq!(groups(hybrid), ["/system.slice/a:b.service", "/"]);
    }
}
