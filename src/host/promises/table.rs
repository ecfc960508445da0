//! The promises of a unit that are compared: one row each.

use super::{Promises, Seen};
use std::collections::BTreeSet;

/// A promise that a process does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub fact: &'static str,
    /// What the unit promises.
    pub promised: String,
    /// What the process has.
    pub seen: String,
    /// Whether systemd goes on without it on a host that does not have it, such as some containers.
    pub depends_on_host: bool,
}

/// A promise. It returns what the unit promises and what the process has, if they differ.
struct Row {
    fact: &'static str,
    depends_on_host: bool,
    compare: fn(&Promises, &Seen) -> Option<(String, String)>,
}

const fn row(fact: &'static str, compare: fn(&Promises, &Seen) -> Option<(String, String)>) -> Row {
    Row {
        fact,
        depends_on_host: false,
        compare,
    }
}

const fn of_host(
    fact: &'static str,
    compare: fn(&Promises, &Seen) -> Option<(String, String)>,
) -> Row {
    Row {
        depends_on_host: true,
        ..row(fact, compare)
    }
}

/// All promises. Source: systemd.exec(5) and org.freedesktop.systemd1(5), proc_pid_status(5).
static ROWS: &[Row] = &[
    row("user", |promises, seen| {
        let user: String = promises.get("User")?;
        same(number(&user, uid)?, seen.words("Uid"))
    }),
    row("group", |promises, seen| {
        let group: String = promises.get("Group")?;
        same(number(&group, gid)?, seen.words("Gid"))
    }),
    row("supplementary groups", groups),
    row("umask", |promises, seen| {
        let umask: u32 = promises.get("UMask")?;
        same(format!("{umask:04o}"), seen.words("Umask"))
    }),
    row("no_new_privs", |promises, seen| {
        let promised = promises.is_on("NoNewPrivileges");
        // Other properties set it as well.
        if !promised {
            return None;
        }
        same("1".to_owned(), seen.words("NoNewPrivs"))
    }),
    of_host("filter of system calls", |promises, seen| {
        let (_, calls): (bool, Vec<String>) = promises.get("SystemCallFilter")?;
        if calls.is_empty() {
            return None;
        }
        same("2".to_owned(), seen.words("Seccomp"))
    }),
    row("capabilities that it could gain", |promises, seen| {
        most(promises.get("CapabilityBoundingSet")?, seen, "CapBnd")
    }),
    row("capabilities", |promises, seen| {
        let user: String = promises.get("User")?;
        let privileged = user.is_empty() || user == "root";
        if privileged {
            return None;
        }
        most(promises.get("AmbientCapabilities")?, seen, "CapPrm")
    }),
    row("control group", control_group),
    row("OOM score", |promises, seen| {
        let promised: i32 = promises.get("OOMScoreAdjust")?;
        same(promised.to_string(), vec![&seen.oom_score_adj])
    }),
    row("limit of open files", |promises, seen| {
        limit(promises, "LimitNOFILE", seen, "Max open files")
    }),
    row("limit of processes", |promises, seen| {
        limit(promises, "LimitNPROC", seen, "Max processes")
    }),
    row("limit of locked memory", |promises, seen| {
        limit(promises, "LimitMEMLOCK", seen, "Max locked memory")
    }),
    row("limit of memory", |promises, seen| {
        limit(promises, "LimitAS", seen, "Max address space")
    }),
    row("limit of file sizes", |promises, seen| {
        limit(promises, "LimitFSIZE", seen, "Max file size")
    }),
    row("limit of core dumps", |promises, seen| {
        limit(promises, "LimitCORE", seen, "Max core file size")
    }),
    of_host("network namespace", |promises, seen| {
        let own = promises.is_on("PrivateNetwork");
        (own != seen.own.contains("net")).then(|| (namespace(own), namespace(!own)))
    }),
    of_host("mount namespace", |promises, seen| {
        own(promises, "PrivateMounts", seen, "mnt")
    }),
    of_host("user namespace", |promises, seen| {
        own(promises, "PrivateUsers", seen, "user")
    }),
    of_host("IPC namespace", |promises, seen| {
        own(promises, "PrivateIPC", seen, "ipc")
    }),
    of_host("UTS namespace", |promises, seen| {
        own(promises, "ProtectHostname", seen, "uts")
    }),
];

/// The promises that a process does not keep.
pub fn differences(promises: &Promises, seen: &Seen) -> Vec<Difference> {
    let broken = ROWS.iter().filter_map(|row| {
        let (promised, seen) = (row.compare)(promises, seen)?;
        Some(Difference {
            fact: row.fact,
            promised,
            seen,
            depends_on_host: row.depends_on_host,
        })
    });
    broken.collect()
}

/// A field whose words are all the same: the real, effective, saved and file-system user, for instance.
fn same(promised: String, seen: Vec<&str>) -> Option<(String, String)> {
    let kept = !seen.is_empty() && seen.iter().all(|word| *word == promised);
    (!kept).then(|| (promised, seen.join(" ")))
}

/// The groups of the user in the account database and those of the unit. A group that the user was given meanwhile is
/// no difference.
fn groups(promises: &Promises, seen: &Seen) -> Option<(String, String)> {
    let user: String = promises.get("User")?;
    let group: String = promises.get("Group")?;
    let group: u32 = number(&group, gid)?.parse().ok()?;
    let named: Vec<String> = promises.get("SupplementaryGroups")?;
    let named: Option<BTreeSet<u32>> = named
        .iter()
        .map(|group| number(group, gid)?.parse().ok())
        .collect();
    let named = named?;
    let of_user = users::get_user_groups(&user, group).unwrap_or_default();
    let mut allowed: BTreeSet<u32> = of_user.iter().map(|group| group.gid()).collect();
    allowed.extend(&named);
    allowed.insert(group);
    let seen: Option<BTreeSet<u32>> = seen
        .words("Groups")
        .iter()
        .map(|it| it.parse().ok())
        .collect();
    let seen = seen?;
    let kept = named.is_subset(&seen) && seen.is_subset(&allowed);
    (!kept).then(|| (list(&allowed), list(&seen)))
}

fn list(numbers: &BTreeSet<u32>) -> String {
    let words: Vec<String> = numbers.iter().map(u32::to_string).collect();
    match words.is_empty() {
        true => "none".to_owned(),
        false => words.join(" "),
    }
}

/// The group of the unit or one below it. Some containers see all groups as the root.
fn control_group(promises: &Promises, seen: &Seen) -> Option<(String, String)> {
    let promised: String = promises.get("ControlGroup")?;
    let inside = |group: &String| {
        let below = group.strip_prefix(&promised);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let unknown = seen.groups.iter().all(|group| group == "/");
    let kept = unknown || seen.groups.iter().any(inside);
    (!kept).then(|| (promised, seen.groups.join(" ")))
}

/// No capabilities but these.
fn most(promised: u64, seen: &Seen, field: &str) -> Option<(String, String)> {
    let text = seen.words(field).first().copied().unwrap_or_default();
    let within = u64::from_str_radix(text, 16).is_ok_and(|has| has & !promised == 0);
    (!within).then(|| (format!("{promised:016x}"), text.to_owned()))
}

/// A hard limit that is no higher: Synapse itself raises soft limits to it, and systemd sets a lower one where the host
/// allows no more.
fn limit(promises: &Promises, property: &str, seen: &Seen, name: &str) -> Option<(String, String)> {
    let promised: u64 = promises.get(property)?;
    let text = seen.limits.get(name).map_or("", String::as_str);
    let has = match text {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    };
    let kept = has.is_some_and(|has| has <= promised);
    (!kept).then(|| (promised.to_string(), text.to_owned()))
}

/// A namespace of its own, if the unit promises one.
fn own(promises: &Promises, property: &str, seen: &Seen, kind: &str) -> Option<(String, String)> {
    let broken = promises.is_on(property) && !seen.own.contains(kind);
    broken.then(|| (namespace(true), namespace(false)))
}

fn namespace(own: bool) -> String {
    if own { "its own" } else { "that of the host" }.to_owned()
}

/// The number of a user or group by its name, which may be a number itself; 0 for an empty name.
fn number(name: &str, lookup: fn(&str) -> Option<u32>) -> Option<String> {
    if name.is_empty() {
        return Some("0".to_owned());
    }
    let number = name.parse().ok().or_else(|| lookup(name))?;
    Some(number.to_string())
}

fn uid(name: &str) -> Option<u32> {
    Some(users::get_user_by_name(name)?.uid())
}

fn gid(name: &str) -> Option<u32> {
    Some(users::get_group_by_name(name)?.gid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use zbus::{OwnedVariant, Variant};

    /// A unit with the sandbox of a worker, for the user with this number.
    fn promises() -> Promises {
        let value = |value: Variant<'_>| OwnedVariant::try_from(value).unwrap();
        let properties = [
            ("User", value("12345".into())),
            ("Group", value("12346".into())),
            ("SupplementaryGroups", value(vec!["12347"].into())),
            ("UMask", value(0o77_u32.into())),
            ("NoNewPrivileges", value(true.into())),
            ("SystemCallFilter", value((true, vec!["read"]).into())),
            ("CapabilityBoundingSet", value(0_u64.into())),
            ("AmbientCapabilities", value(0_u64.into())),
            ("ControlGroup", value("/system.slice/a.service".into())),
            ("OOMScoreAdjust", value(500_i32.into())),
            ("LimitNOFILE", value(524_288_u64.into())),
            ("LimitCORE", value(0_u64.into())),
            ("PrivateNetwork", value(true.into())),
            ("PrivateUsers", value(true.into())),
            ("ProtectHostname", value(false.into())),
        ];
        let properties = properties.map(|(name, value)| (name.to_owned(), value));
        Promises::from(HashMap::from(properties))
    }

    /// The fact that differs after a change of the process.
    type Case = (&'static str, fn(&mut Seen));

    /// A process that keeps these promises.
    fn kept() -> Seen {
        let text = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect()
        };
        Seen {
            status: text(&[
                ("Uid", "12345\t12345\t12345\t12345"),
                ("Gid", "12346\t12346\t12346\t12346"),
                ("Groups", "12346 12347"),
                ("Umask", "0077"),
                ("NoNewPrivs", "1"),
                ("Seccomp", "2"),
                ("CapBnd", "0000000000000000"),
                ("CapPrm", "0000000000000000"),
            ]),
            limits: text(&[("Max open files", "524288"), ("Max core file size", "0")]),
            own: ["net", "user"].into(),
            groups: vec!["/".to_owned(), "/system.slice/a.service".to_owned()],
            oom_score_adj: "500".to_owned(),
        }
    }

    #[test]
    fn a_process_that_keeps_all_promises_has_no_difference() {
        assert_eq!(differences(&promises(), &kept()), []);
        let mut below = kept();
        below.groups = vec!["/system.slice/a.service/part".to_owned()];
        below
            .limits
            .insert("Max open files".to_owned(), "20000".to_owned());
        assert_eq!(differences(&promises(), &below), []);
        below.groups = vec!["/".to_owned()];
        assert_eq!(differences(&promises(), &below), []);
    }

    #[test]
    fn each_broken_promise_is_named() {
        let cases: &[Case] = &[
            ("user", |it| set(it, "Uid", "12345 0 12345 12345")),
            ("group", |it| set(it, "Gid", "0 0 0 0")),
            ("supplementary groups", |it| {
                set(it, "Groups", "12346 12347 0")
            }),
            ("supplementary groups", |it| set(it, "Groups", "12346")),
            ("umask", |it| set(it, "Umask", "0022")),
            ("no_new_privs", |it| set(it, "NoNewPrivs", "0")),
            ("filter of system calls", |it| set(it, "Seccomp", "0")),
            ("capabilities that it could gain", |it| {
                set(it, "CapBnd", "0000000000000400")
            }),
            ("capabilities", |it| set(it, "CapPrm", "0000000000000400")),
            ("control group", |it| {
                it.groups = vec!["/system.slice/a.service2".to_owned()]
            }),
            ("OOM score", |it| it.oom_score_adj = "200".to_owned()),
            ("limit of open files", |it| {
                it.limits
                    .insert("Max open files".to_owned(), "524289".to_owned());
            }),
            ("limit of core dumps", |it| {
                it.limits
                    .insert("Max core file size".to_owned(), "unlimited".to_owned());
            }),
            ("network namespace", |it| it.own = ["user"].into()),
            ("user namespace", |it| it.own = ["net"].into()),
        ];
        for (fact, change) in cases {
            let mut seen = kept();
            change(&mut seen);
            let found = differences(&promises(), &seen);
            let facts: Vec<&str> = found.iter().map(|it| it.fact).collect();
            assert_eq!(facts, [*fact]);
        }
    }

    #[test]
    fn a_network_namespace_that_the_unit_does_not_promise_is_a_difference() {
        let mut open = promises();
        let off = OwnedVariant::from(false);
        open.0.insert("PrivateNetwork".to_owned(), off);
        let found = differences(&open, &kept());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].promised, "that of the host");
    }

    fn set(seen: &mut Seen, field: &str, value: &str) {
        seen.status.insert(field.to_owned(), value.to_owned());
    }
}
