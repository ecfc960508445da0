//! Named lists of workers: `full`, and one for each of three host sizes.
//!
//! Merging roles halves the memory at the same throughput, so the presets for small hosts merge roles. Merged roles
//! have one reason to be busy at the same time. Roles that can be sharded are separate from those that cannot, wherever
//! the host has enough cores for the shards. With the main process, no preset has more than 23 processes: four database
//! connections for each fit PostgreSQL's default of 100.

/// A named list of workers, which may be written in place of a worker spec.
pub struct Preset {
    /// The word that `--preset` and the setting `workers` accept.
    pub name: &'static str,
    /// The minimum number of cores of the host that it is meant for.
    pub cores: u16,
    /// A description in one line.
    pub summary: &'static str,
    /// Its workers, in the grammar of [`super::spec`].
    pub spec: &'static str,
}

/// All presets, from the smallest host to the largest.
pub static PRESETS: [Preset; 4] = [
    Preset {
        name: "small",
        cores: 2,
        summary: "3 workers for 2 cores: clients, streams, and background work with media and federation",
        spec: "clients=synchrotron+sliding_sync+client_reader+event_creator, \
               streams=event_persister+typing+to_device+account_data+presence+push_rules+receipts+device_lists, \
               background=pusher+federation_sender+appservice+background_worker+user_dir\
               +media_repository+federation_reader+federation_inbound",
    },
    Preset {
        name: "medium",
        cores: 4,
        summary: "8 workers for 4 cores: separate sync, clients, events, streams, media and federation",
        spec: "sync=synchrotron+sliding_sync, clients=client_reader+event_creator, event_persister, \
               streams=typing+to_device+account_data+presence+push_rules+receipts+device_lists, \
               media_repository, federation=federation_reader+federation_inbound, \
               outbound=pusher+federation_sender, background=appservice+background_worker+user_dir",
    },
    Preset {
        name: "large",
        cores: 8,
        summary: "22 workers for 8 or more cores: several workers for busy roles, idle roles merged",
        spec: "synchrotron:3, sliding_sync:2, client_reader:2, event_creator:2, event_persister:2, \
               to_device, receipts, device_lists, streams=typing+account_data+presence+push_rules, \
               media_repository, federation_reader, federation_inbound, federation_sender:2, pusher, \
               background=appservice+background_worker+user_dir",
    },
    Preset {
        name: "full",
        cores: 8,
        summary: "20 workers: one for each role that has work on an ordinary server",
        // Not included: frontend_proxy (device_lists serves the same endpoint), thread_subscriptions (experimental),
        // sso_login and mas_helper (idle without single sign-on or MAS).
        spec: "pusher, federation_sender, appservice, background_worker, user_dir, event_persister, \
               typing, to_device, account_data, presence, push_rules, receipts, device_lists, \
               media_repository, synchrotron, sliding_sync, client_reader, event_creator, \
               federation_reader, federation_inbound",
    },
];

/// Finds a preset by its name.
pub fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::{Topology, spec};
    use super::*;

    #[test]
    fn presets_have_the_number_of_workers_in_their_summary() {
        for preset in &PRESETS {
            let workers = Topology::new(spec::parse(&[preset.name]).unwrap())
                .unwrap()
                .workers;
            let promised = format!("{} workers", workers.len());
            assert!(
                preset.summary.starts_with(&promised),
                "{}: {promised}",
                preset.name
            );
            assert!(
                workers.len() < 23,
                "{}: too many for 100 connections",
                preset.name
            );
            // The same roles do the work in every size.
            let full = spec::parse(&["full"]).unwrap();
            for role in full.iter().flat_map(|spec| &spec.roles) {
                assert!(
                    workers.iter().any(|w| w.has(role.name)),
                    "{}: {}",
                    preset.name,
                    role.name
                );
            }
        }
    }

    #[test]
    fn busy_roles_can_be_scaled() {
        for (name, targets) in [
            ("small", &["clients"][..]),
            (
                "medium",
                &[
                    "sync",
                    "clients",
                    "event_persister",
                    "federation",
                    "outbound",
                    "media_repository",
                ],
            ),
            (
                "large",
                &[
                    "synchrotron",
                    "event_persister",
                    "receipts",
                    "device_lists",
                    "pusher",
                ],
            ),
        ] {
            for target in targets {
                let specs = spec::parse(&[name]).unwrap();
                super::super::edit::scale(&specs, target, 4).unwrap();
            }
        }
    }
}
