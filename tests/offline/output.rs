//! Output that other programs parse, and output that cannot be written.

use serde_json::json;
use std::fs::OpenOptions;
use std::process::Command;
use synapse_workers::plan::step::{ChangeKind, FileChange, Step, Validator, Verb};
use synapse_workers::state::Resource;

/// Scripts depend on these keys and values.
#[test]
fn a_step_serializes_to_stable_json() {
    let steps = [
        (
            Step::Jobs {
                verb: Verb::Restart,
                units: vec!["a.service".to_owned()],
                reasons: vec!["b".to_owned()],
                rolling: Some(2),
            },
            json!({"step": "jobs", "of": {"verb": "restart", "units": ["a.service"], "reasons": ["b"], "rolling": 2}}),
        ),
        (
            Step::WriteGeneration {
                number: 3,
                changes: vec![FileChange {
                    path: "c".to_owned(),
                    kind: ChangeKind::Removed,
                }],
            },
            json!({"step": "write_generation", "of": {"number": 3, "changes": [{"path": "c", "kind": "removed"}]}}),
        ),
        (
            Step::Validate {
                number: 3,
                validator: Validator::Nginx,
            },
            json!({"step": "judge", "of": {"number": 3, "judge": "nginx"}}),
        ),
        (
            Step::Create(Resource::Directory("/d".to_owned())),
            json!({"step": "create", "of": {"directory": "/d"}}),
        ),
        (
            Step::RemoveFile {
                path: "/e".to_owned(),
            },
            json!({"step": "remove_file", "of": {"path": "/e"}}),
        ),
        (Step::Hold, json!({"step": "hold"})),
    ];
    for (step, expected) in steps {
        assert_eq!(serde_json::to_value(&step).unwrap(), expected);
    }
}

#[test]
fn output_that_cannot_be_written_is_no_error() {
    let program = env!("CARGO_BIN_EXE_synapse-workers");
    for words in [
        &["presets"][..],
        &["presets", "--json"],
        &["generations"],
        &["routes"],
        &["--help"],
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(program).args(words).stdout(full).output();
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && text.is_empty(),
            "{words:?}: {text}"
        );
    }
}
