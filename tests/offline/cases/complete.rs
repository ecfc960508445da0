//! Completeness of the folders: they contain every role, every auxiliary service and every restart rule, and each of
//! their files has a restart rule.

use super::{Case, folders};
use std::collections::BTreeSet;
use synapse_workers::plan::reason;
use synapse_workers::plan::step::Step;
use synapse_workers::render::services::SERVICES;
use synapse_workers::state::Resource;
use synapse_workers::state::restart_rules::{Effect, RULES, rule_for};
use synapse_workers::topology::ROLES;

fn cases() -> Vec<Case> {
    folders().iter().map(|folder| Case::read(folder)).collect()
}

/// Cases whose rendered files are in `expected/`.
fn rendered(cases: &[Case]) -> impl Iterator<Item = &Case> {
    cases.iter().filter(|case| case.before.is_none())
}

/// The files that change in a folder: those of the generation, and those outside of it that are the reason for a job.
fn changed(case: &Case) -> BTreeSet<String> {
    let plan = case.plan();
    let text = plan.to_string();
    let desired = case.desired();
    let outside = case.run.paths(&desired);
    let mut changed: BTreeSet<String> = outside
        .filter(|path| text.contains(&reason(path)))
        .collect();
    for step in plan.steps {
        if let Step::WriteGeneration { changes, .. } = step {
            changed.extend(changes.into_iter().map(|change| change.path));
        }
    }
    changed
}

#[test]
fn every_role_has_a_folder() {
    let cases = cases();
    let mut found = BTreeSet::new();
    for setup in rendered(&cases).flat_map(|case| &case.after) {
        setup.with_input(|input| {
            let workers = || input.topology.workers.iter();
            let has = |name| workers().any(|worker| worker.has(name));
            found.extend(ROLES.iter().map(|role| role.name).filter(|name| has(name)));
        });
    }
    let roles: BTreeSet<&str> = ROLES.iter().map(|role| role.name).collect();
    assert_eq!(found, roles);
}

#[test]
fn every_auxiliary_service_has_a_folder() {
    let cases = cases();
    let units: BTreeSet<String> = rendered(&cases)
        .flat_map(|case| case.desired().units)
        .collect();
    for service in SERVICES {
        assert!(
            units.contains(service.unit),
            "{} has no folder",
            service.unit
        );
    }
}

/// A rule without an effect has a folder with such a file, any other rule a folder in which such a file changes.
#[test]
fn every_restart_rule_has_a_folder_and_every_file_a_restart_rule() {
    let cases = cases();
    let (changes, installs): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| case.before.is_some());
    let installed: BTreeSet<String> = installs
        .into_iter()
        .flat_map(|case| {
            let others = case.others().into_iter().map(|(_, state)| state);
            others.chain([case.desired()]).collect::<Vec<_>>()
        })
        .flat_map(|state| {
            let secrets = state.resources.iter().filter_map(Resource::secret_path);
            secrets
                .chain(state.files.keys().cloned())
                .collect::<Vec<_>>()
        })
        .collect();
    let changed: BTreeSet<String> = changes.into_iter().flat_map(changed).collect();
    for path in installed.union(&changed) {
        assert!(!rule_for(path).path.is_empty(), "{path} has no rule");
    }
    for rule in RULES {
        let paths = match rule.effect {
            Effect::None => &installed,
            Effect::Reload | Effect::Restart | Effect::StopFirst => &changed,
        };
        let found = paths.iter().any(|path| std::ptr::eq(rule_for(path), rule));
        assert!(found, "no folder has a change by the rule {}", rule.path);
    }
}
