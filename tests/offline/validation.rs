//! Which validators a plan runs: those of programs that read a changed file, for contents that were not validated yet.

use super::model::Model;
use super::setup::Setup;
use synapse_workers::plan::step::{Step, Validator};
use synapse_workers::plan::{Plan, Removal, Target};

/// The validators of the plan from one setup to another one.
fn validators(before: &Setup, after: &Setup) -> Vec<Validator> {
    let model = Model::running(&before.state());
    let desired = after.state();
    let observed = model.observe(&desired);
    let plan = Plan::between(&desired, &observed, Target::Rendered, Removal::Keep);
    let steps = plan.steps.into_iter();
    let validators = steps.filter_map(|step| match step {
        Step::Validate { validator, .. } => Some(validator),
        _ => None,
    });
    validators.collect()
}

fn synapse(own: &[&str]) -> Validator {
    Validator::Synapse(own.iter().map(|path| (*path).to_owned()).collect())
}

#[test]
fn a_worker_that_differs_from_another_in_its_name_needs_no_validation() {
    for settings in ["", "warm: {mode: fork}", "metrics: {enabled: true}"] {
        // The files of a stream writer are the same but for the name, which all processes know.
        let of = |readers| {
            Setup::new(&format!("account_data, synchrotron:{readers}")).settings(settings)
        };
        let found = validators(&of(3), &of(5));
        let others = [Validator::Nginx, Validator::Prometheus];
        assert!(found.contains(&Validator::Nginx), "{settings}");
        let other = found.iter().find(|found| !others.contains(found));
        assert_eq!(other, None, "{settings}");
    }
}

#[test]
fn a_worker_of_another_kind_is_validated() {
    let of = Setup::new;
    let found = validators(&of("synchrotron"), &of("synchrotron, federation_reader"));
    let own = synapse(&["workers/federation_reader1.yaml"]);
    assert_eq!(found, [Validator::Nginx, own]);
    let found = validators(
        &of("federation_reader"),
        &of("federation_reader, synchrotron"),
    );
    assert!(found.contains(&Validator::Systemd), "{found:?}");
}

#[test]
fn a_name_in_the_options_of_the_server_is_validated() {
    let of = |workers| Setup::new(workers).own("a.yaml", "x: [synchrotron2]\n");
    let found = validators(&of("synchrotron"), &of("synchrotron:2"));
    let own = synapse(&["workers/synchrotron2.yaml"]);
    assert!(found.contains(&own), "{found:?}");
}

#[test]
fn a_change_of_the_configuration_of_all_processes_validates_each() {
    let found = validators(
        &Setup::new("synchrotron"),
        &Setup::new("synchrotron:2").own("a.yaml", "x: 1\n"),
    );
    let all = [
        "main.yaml",
        "workers/synchrotron1.yaml",
        "workers/synchrotron2.yaml",
    ];
    assert!(found.contains(&synapse(&all)), "{found:?}");
}
