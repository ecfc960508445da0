//! The table of worker keys agrees with the rendered files, the restart rules and the catalogue of roles.

use super::setup::{SPECS, Setup, text};
use std::collections::{BTreeMap, BTreeSet};
use synapse_workers::state::restart_rules::rule_for;
use synapse_workers::topology::worker_keys::Value;
use synapse_workers::topology::{ROLES, WORKER_KEYS};

/// The keys in the rendered files of `shared.d`, each with its file.
fn rendered() -> BTreeMap<String, BTreeSet<String>> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let senders = Setup::new("federation_sender").settings("sandbox: {network: senders}");
    let setups = SPECS.iter().map(|spec| Setup::new(spec)).chain([senders]);
    for state in setups.map(|setup| setup.state()) {
        let files = state.files.keys();
        for path in files.filter(|path| path.starts_with("synapse/shared.d/")) {
            let options: BTreeMap<String, serde_yaml::Value> =
                serde_yaml::from_str(text(&state, path)).unwrap();
            for key in options.into_keys() {
                keys.entry(key).or_default().insert(path.clone());
            }
        }
    }
    keys
}

#[test]
fn each_key_is_rendered_into_its_file_which_has_a_rule() {
    let mut rendered = rendered();
    // Redis is a setting of its own, beside the workers.
    rendered.remove("redis").unwrap();
    let mut expected = BTreeMap::new();
    for row in WORKER_KEYS {
        let Some(file) = row.file else { continue };
        let path = format!("synapse/shared.d/{file}.yaml");
        assert_eq!(
            rule_for(&path).path,
            path,
            "no restart rule for {}",
            row.key
        );
        expected.insert(row.key.to_owned(), BTreeSet::from([path]));
    }
    assert_eq!(rendered, expected);
}

#[test]
fn a_key_takes_one_name_exactly_if_its_role_allows_one_worker() {
    let mut assigned = Vec::new();
    for row in WORKER_KEYS {
        let Some(duty) = row.value.duty() else {
            continue;
        };
        assigned.push(duty);
        let roles: Vec<_> = ROLES
            .iter()
            .filter(|role| role.duty == Some(duty))
            .collect();
        assert!(!roles.is_empty(), "no role has the duty of {}", row.key);
        for role in roles {
            let reason = role.only_one.unwrap_or_default();
            match row.value {
                Value::Only(_) => assert!(reason.contains(row.key), "{}: {reason}", role.name),
                _ => assert_eq!(reason, "", "{}", role.name),
            }
        }
    }
    for duty in ROLES.iter().filter_map(|role| role.duty) {
        assert!(assigned.contains(&duty), "no key assigns {duty:?}");
    }
}
