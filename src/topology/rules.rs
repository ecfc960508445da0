//! The rules for the workers of all hosts together.
//!
//! They refuse combinations that Synapse refuses at start or, worse, accepts with an idle worker: a second worker for a
//! role that only one worker can have, two workers with the same name, or more workers than any host runs.

use std::collections::BTreeMap;

use super::entry::{Entry, worker_name};
use super::roles::ROLES;
use super::spec::{SpecError, refuse};

/// The maximum number of workers of one host, over all entries.
pub const MAX_WORKERS: u32 = 250;

/// Checks all rules.
///
/// # Errors
/// With the first rule that these entries violate.
pub(super) fn check(entries: &[Entry]) -> Result<(), SpecError> {
    check_totals(entries)?;
    check_only_ones(entries)?;
    check_names(entries)
}

fn check_totals(entries: &[Entry]) -> Result<(), SpecError> {
    let mut totals: BTreeMap<_, u32> = BTreeMap::new();
    for entry in entries {
        let total = totals.entry(&entry.host).or_default();
        *total += u32::from(entry.spec.count);
        if *total > MAX_WORKERS {
            let of_host = entries.iter().filter(|other| other.host == entry.host);
            let total: u32 = of_host.map(|other| u32::from(other.spec.count)).sum();
            return refuse!(
                "{total} workers are more than {MAX_WORKERS}, the maximum of one host";
                "lower the counts"
            );
        }
    }
    Ok(())
}

fn check_only_ones(entries: &[Entry]) -> Result<(), SpecError> {
    for role in &ROLES {
        let Some(reason) = role.only_one else {
            continue;
        };
        let holders: Vec<_> = entries
            .iter()
            .filter(|entry| entry.spec.roles.contains(&role))
            .collect();
        let count: u16 = holders.iter().map(|entry| entry.spec.count).sum();
        if count > 1 {
            let entries: Vec<_> = holders.iter().map(|entry| entry.to_string()).collect();
            return refuse!(
                "{count} workers would have the role {} ({}), but only one can: {reason}",
                role.name,
                entries.join(", ");
                "keep the role in one entry, without a count"
            );
        }
    }
    Ok(())
}

/// Refuses names that occur twice: `x:11` and `x1` would both create an `x11`, and `x1` could refer to either entry.
fn check_names(entries: &[Entry]) -> Result<(), SpecError> {
    let mut owners: BTreeMap<String, &Entry> = BTreeMap::new();
    for entry in entries {
        let spec = &entry.spec;
        let names = (1..=spec.count).map(|index| worker_name(spec, index));
        for name in names.chain([spec.name.clone()]) {
            if let Some(other) = owners.insert(name.clone(), entry) {
                return refuse!(
                    "the entries {:?} and {:?} would both have the name {name:?}",
                    other.label(), entry.label();
                    "rename one of them"
                );
            }
        }
    }
    Ok(())
}
