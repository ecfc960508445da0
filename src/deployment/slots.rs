//! The numbers of processes, from which their ports follow.
//!
//! A worker's port depends on its role, name and index, not on its position in a list, nor on other hosts. Each purpose
//! has 3000 ports; a worker has the same slot in each of them:
//!
//! | Slots | Process |
//! |---|---|
//! | 0 | main |
//! | 1 to 8 | other programs, see [`ServicePort`](super::endpoints::ServicePort) (first purpose only) |
//! | *n* × 100 + 0 to 49 | workers of role *n* of the catalogue whose entry is named after its only role, by index |
//! | *n* × 100 + 50 to 99 | all other workers whose first role is *n*, from a slot derived from the entry's name |
//!
//! So adding or removing an entry does not move another worker to a port that a running process still occupies. Two
//! workers collide only if their names share a slot or an entry has more than fifty workers; the later one then takes
//! the next free slot.

use crate::topology::{ROLES, Topology};
use std::collections::{BTreeMap, BTreeSet};

/// The number of ports per purpose. The port ranges of the purposes follow one another, starting at `tcp_ports`.
pub(super) const WIDTH: u16 = 3_000;

/// The slot of each worker, starting at 100; main has slot 0. Each host has slots of its own.
pub(super) fn slots(topology: &Topology) -> BTreeMap<String, u16> {
    let mut taken = BTreeSet::new();
    let mut slots = BTreeMap::new();
    for worker in &topology.workers {
        let role = worker.roles.first();
        let place = ROLES
            .iter()
            .position(|known| Some(&known) == role)
            .unwrap_or_default();
        let hundred = (u16::try_from(place).unwrap_or_default() + 1) * 100;
        let number = worker.index - 1;
        let plain = worker.roles.len() == 1 && role.is_some_and(|role| role.name == worker.entry());
        let mut slot = match plain {
            true => hundred + number,
            false => hundred + HALF + (place_of(worker.entry()) + number) % HALF,
        };
        while !taken.insert((&worker.host, slot)) {
            slot += 1;
        }
        slots.insert(worker.name.clone(), slot);
    }
    slots
}

/// Half of the slots of a role.
const HALF: u16 = 50;

/// A number below [`HALF`] that is stable for a name and rarely shared by two names (FNV-1a hash).
fn place_of(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    u16::try_from(hash % u32::from(HALF)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::{WorkerSpec, parse};

    fn of(spec: &str) -> BTreeMap<String, u16> {
        let specs: Vec<WorkerSpec> = parse(&[spec]).unwrap();
        slots(&Topology::new(specs).unwrap())
    }

    #[test]
    fn ports_stay_when_workers_are_added_or_removed() {
        let before = of("full");
        let after = of("full, synchrotron:3, sso_login, x=event_persister:2");
        assert!(before.iter().all(|(name, slot)| after[name] == *slot));
        assert_eq!(after["synchrotron3"] - after["synchrotron1"], 2);
        // Entries with the same first role keep their ports, whatever the order in which others are added and removed.
        let merged = "clients=synchrotron+client_reader:2, other=synchrotron";
        let (before, after) = (
            of(merged),
            of(&format!("a=synchrotron, synchrotron:3, {merged}")),
        );
        assert!(
            before.iter().all(|(name, slot)| after[name] == *slot),
            "{before:?} {after:?}"
        );
    }

    #[test]
    fn no_two_processes_share_a_slot_and_all_fit() {
        for spec in [
            "full",
            "a=pusher:60, b=pusher:60, pusher:60, mas_helper:70",
            "mas_helper:100, z=mas_helper:100",
        ] {
            let slots = of(spec);
            let distinct: BTreeSet<&u16> = slots.values().collect();
            assert_eq!(distinct.len(), slots.len(), "{spec}");
            assert!(
                slots.values().all(|slot| (100..WIDTH).contains(slot)),
                "{spec}"
            );
        }
        assert_eq!(u32::from(WIDTH) * 4, crate::settings::TCP_PORTS);
    }
}
