//! logrotate on the access log that metrics are computed from.

use super::super::setup::{Setup, text};
use super::super::validators::{program, run, shown};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use synapse_workers::state::paths;

/// logrotate exits with 0 even after errors, so the test checks its output.
#[test]
fn logrotate_accepts_the_configuration_and_rotates_large_logs() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let state = Setup::new("").settings("metrics: {enabled: true}").state();
    let log = at("access.log").display().to_string();
    let pid = at("nginx.pid").display().to_string();
    let configuration = text(&state, "logrotate/access.conf")
        .replace(paths::ACCESS_LOG, &log)
        .replace("/run/synapse-nginx/nginx.pid", &pid);
    fs::write(at("access.conf"), configuration).unwrap();
    let mut nginx = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(&pid, nginx.id().to_string()).unwrap();
    let rotate = |large: bool| {
        let file = fs::File::create(&log).unwrap();
        file.set_len(if large { 70 << 20 } else { 1 << 20 })
            .unwrap();
        let output = run(program("logrotate")
            .arg("--verbose")
            .arg("--state")
            .args([at("state"), at("access.conf")]));
        let text = shown(&output);
        assert!(
            output.status.success() && !text.contains("error:") && !text.contains("warning:"),
            "{text}"
        );
        at("access.log.1").exists()
    };
    assert!(!rotate(false));
    assert!(rotate(true));
    assert_eq!(fs::metadata(&log).unwrap().len(), 0, "a new one");
    // On USR1, nginx reopens its logs. A program that does not handle the signal ends.
    assert_eq!(nginx.wait().unwrap().signal(), Some(10));
}

#[test]
fn the_access_log_is_rotated_unless_disabled() {
    for (lines, rotated) in [
        ("metrics: {enabled: true}", true),
        (
            "metrics: {enabled: true}\nnginx: {disable_logrotate: true}",
            false,
        ),
        ("metrics: {enabled: false}", false),
    ] {
        let state = Setup::new("").settings(lines).state();
        assert_eq!(
            state.units.contains("synapse-logrotate.timer"),
            rotated,
            "{lines}"
        );
        assert_eq!(
            state.files.contains_key("logrotate/access.conf"),
            rotated,
            "{lines}"
        );
    }
}
