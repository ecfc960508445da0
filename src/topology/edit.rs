//! Edits a list of worker specs for `scale`, `add` and `remove`, before it is written back.
//!
//! Workers are numbered from 1 without gaps, so only the last worker of an entry can be removed on its own.

use super::entry::worker_name;
use super::roles::{ROLES, role};
use super::spec::{self, NOTATION, SpecError, WorkerSpec, refuse};
use super::workers::Topology;
use crate::suggest::nearest;

/// Sets the number of workers of an entry. `target` is the name of the entry, or a role that is the only role of exactly
/// one entry; a role that no entry has gets a new entry. A count of 0 removes the entry.
pub fn scale(specs: &[WorkerSpec], target: &str, count: u16) -> Result<Vec<WorkerSpec>, SpecError> {
    spec::check_count(target, count)?;
    let mut specs = specs.to_vec();
    match find_scalable(&specs, target, count)? {
        Some(at) if count == 0 => drop(specs.remove(at)),
        Some(at) => specs[at].count = count,
        None if count == 0 => {}
        None => specs.extend(spec::parse(&[format!("{target}:{count}")])?),
    }
    checked(specs)
}

/// Adds the workers that `text` specifies; an existing entry grows.
///
/// # Errors
/// When the text is not a worker spec, or as for [`Topology::new`].
pub fn add(specs: &[WorkerSpec], text: &str) -> Result<Vec<WorkerSpec>, SpecError> {
    let new = spec::parse(&[text])?;
    if new.is_empty() {
        return refuse!("{text:?} names no worker to add"; "write {NOTATION}");
    }
    checked(spec::add_up(specs.iter().cloned().chain(new).collect())?)
}

/// Removes an entry by its name, or the last worker of an entry by the name of the worker.
///
/// # Errors
/// When there is no such entry or worker, or when the worker is not the last one of its entry.
pub fn remove(specs: &[WorkerSpec], name: &str) -> Result<Vec<WorkerSpec>, SpecError> {
    let mut specs = specs.to_vec();
    if let Some(at) = specs.iter().position(|spec| spec.name == name) {
        specs.remove(at);
        return checked(specs);
    }
    let Some(at) = specs.iter().position(|spec| owns(spec, name)) else {
        return unknown(&specs, name);
    };
    let last = worker_name(&specs[at], specs[at].count);
    if name != last {
        return refuse!(
            "{name:?} is not the last worker of its entry, and workers are numbered without gaps";
            "remove {last}, or {} for all of them", specs[at].name
        );
    }
    specs[at].count -= 1;
    specs.retain(|spec| spec.count > 0);
    checked(specs)
}

/// The index of the entry whose count `target` refers to; `None` if the role is new.
fn find_scalable(
    specs: &[WorkerSpec],
    target: &str,
    count: u16,
) -> Result<Option<usize>, SpecError> {
    if let Some(at) = specs.iter().position(|spec| spec.name == target) {
        return Ok(Some(at));
    }
    if let Some(spec) = specs.iter().find(|spec| owns(spec, target)) {
        return refuse!(
            "{target:?} is a single worker, and an entry is scaled as a whole";
            "scale the entry: {}={count}", spec.name
        );
    }
    let Some(role) = role(target) else {
        return unknown(specs, target).map(|_| None);
    };
    let holders: Vec<_> = (0..specs.len())
        .filter(|at| specs[*at].roles.contains(&role))
        .collect();
    let alone: Vec<_> = holders
        .iter()
        .copied()
        .filter(|at| specs[*at].roles.len() == 1)
        .collect();
    match (alone.as_slice(), holders.as_slice()) {
        ([at], _) => Ok(Some(*at)),
        ([], []) => Ok(None),
        ([], [at, ..]) => refuse!(
            "the role {target} is part of the entry {}", specs[*at];
            "scale that entry, {}={count}, or add an entry for {target}", specs[*at].name
        ),
        ([at, ..], _) => refuse!(
            "several entries have {target} as their only role: {}",
            alone
                .iter()
                .map(|at| specs[*at].to_string())
                .collect::<Vec<_>>()
                .join(", ");
            "scale one of them by its name: {}={count}", specs[*at].name
        ),
    }
}

fn owns(spec: &WorkerSpec, worker: &str) -> bool {
    (1..=spec.count).any(|index| worker_name(spec, index) == worker)
}

fn unknown(specs: &[WorkerSpec], name: &str) -> Result<Vec<WorkerSpec>, SpecError> {
    let names = specs.iter().map(|spec| spec.name.as_str());
    match nearest(
        name,
        names.clone().chain(ROLES.iter().map(|role| role.name)),
    ) {
        Some(near) if near == name => {
            let with_role: Vec<&str> = specs
                .iter()
                .filter(|spec| spec.roles.iter().any(|role| role.name == name))
                .map(|spec| spec.name.as_str())
                .collect();
            match with_role.is_empty() {
                true => {
                    refuse!("no worker has the role {name}"; "list the workers: synapse-workers status")
                }
                false => refuse!(
                    "no entry is named {name:?}";
                    "name one of the entries with that role: {}", with_role.join(", ")
                ),
            }
        }
        Some(near) => refuse!("unknown worker or role {name:?}"; "did you mean {near}?"),
        None if specs.is_empty() => refuse!(
            "unknown worker or role {name:?}";
            "this server has no workers; add one: synapse-workers add {NOTATION}"
        ),
        None => refuse!(
            "unknown worker or role {name:?}";
            "the entries are {}", names.collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Returns the list if it is a valid topology.
fn checked(specs: Vec<WorkerSpec>) -> Result<Vec<WorkerSpec>, SpecError> {
    Topology::new(specs).map(|topology| topology.specs)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Edit = fn(&[WorkerSpec]) -> Result<Vec<WorkerSpec>, SpecError>;

    fn edited(before: &str, edit: Edit) -> Result<String, String> {
        let specs = edit(&spec::parse(&[before]).unwrap()).map_err(|error| error.to_string())?;
        Ok(specs
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "))
    }

    #[test]
    fn lists_are_edited_in_place() {
        let cases: [(&str, Edit, &str); 12] = [
            (
                "pusher, receipts",
                |s| scale(s, "pusher", 3),
                "pusher:3, receipts",
            ),
            (
                "pusher:3, receipts",
                |s| scale(s, "pusher", 1),
                "pusher, receipts",
            ),
            ("pusher:3, receipts", |s| scale(s, "pusher", 0), "receipts"),
            ("receipts", |s| scale(s, "pusher", 2), "receipts, pusher:2"),
            ("receipts", |s| scale(s, "pusher", 0), "receipts"),
            (
                "a=pusher, receipts",
                |s| scale(s, "pusher", 2),
                "a=pusher:2, receipts",
            ),
            (
                "a=pusher+receipts",
                |s| scale(s, "a", 2),
                "a=pusher+receipts:2",
            ),
            (
                "receipts+pusher, pusher",
                |s| scale(s, "pusher", 2),
                "pusher+receipts, pusher:2",
            ),
            (
                "pusher",
                |s| add(s, "pusher:2, b=typing+presence"),
                "pusher:3, b=typing+presence",
            ),
            ("pusher:3, receipts", |s| remove(s, "pusher"), "receipts"),
            (
                "pusher:3, receipts",
                |s| remove(s, "pusher3"),
                "pusher:2, receipts",
            ),
            ("pusher, receipts", |s| remove(s, "pusher1"), "receipts"),
        ];
        for (before, edit, after) in cases {
            assert_eq!(edited(before, edit).as_deref(), Ok(after), "{before}");
        }
    }

    #[test]
    fn ambiguous_and_impossible_edits_are_refused() {
        let cases: [(&str, Edit, &str); 12] = [
            ("medium", |s| scale(s, "synchrotron", 3), "sync=3"),
            ("a=pusher, b=pusher", |s| scale(s, "pusher", 3), "a=3"),
            ("pusher:2", |s| scale(s, "pusher2", 3), "pusher=3"),
            (
                "typing",
                |s| scale(s, "typing", 2),
                "takes exactly one instance",
            ),
            ("pusher", |s| scale(s, "pusher", 101), "more than 100"),
            ("pusher", |s| scale(s, "pushr", 2), "did you mean pusher?"),
            ("pusher", |s| scale(s, "zzz", 2), "the entries are pusher"),
            (
                "pusher",
                |s| add(s, "typing:2"),
                "takes exactly one instance",
            ),
            ("a=pusher", |s| add(s, "a=receipts"), "different roles"),
            ("pusher", |s| add(s, " "), "names no worker to add"),
            (
                "pusher:3",
                |s| remove(s, "pusher1"),
                "remove pusher3, or pusher for all of them",
            ),
            ("pusher:3", |s| remove(s, "pusher4"), "did you mean pusher?"),
        ];
        for (before, edit, expected) in cases {
            let error = edited(before, edit).expect_err(before);
            assert!(error.contains(expected), "{before}: {error}");
        }
    }
}
