//! How running processes started.

use crate::deployment::Deployment;
use crate::host::tools::Tool;
use crate::host::{endpoints, files, gather, python};
use crate::state::HostFacts;

/// The words in the log of a unit before the reason for a plain start.
pub const PLAINLY: &str = "a plain start, because: ";

/// The facts about this host that decide how the processes of a deployment start, without the others.
pub fn facts(deployment: &Deployment) -> HostFacts {
    let facts = endpoints::facts(deployment);
    let ours = || deployment.venv().python();
    let python = facts
        .synapse
        .as_ref()
        .map_or_else(ours, |found| found.python.clone());
    HostFacts {
        python: python::minor_version_of(&python),
        systemd: gather::systemd_version(),
        ..facts
    }
}

/// Whether a process was forked; `None` if it has ended or belongs to another account.
///
/// systemd gives each process that it executes its own number in a variable, and the kernel shows the variables of the
/// executed program, which for a forked process is its fork server (systemd.exec(5), proc_pid_environ(5)).
pub fn is_forked(process: u32) -> Option<bool> {
    let environment = files::of_process(process, "environ")?;
    let mut variables = environment.split(|byte| *byte == 0);
    let number = variables.find_map(|variable| variable.strip_prefix(b"SYSTEMD_EXEC_PID="))?;
    Some(number != process.to_string().as_bytes())
}

/// Why a running process started plainly, according to its log.
pub fn reason_of_plain_start(process: u32) -> Option<String> {
    let output = Tool::new("journalctl")
        .args([
            "-b",
            "-q",
            "--no-pager",
            "-o",
            "cat",
            "-n",
            "1",
            "-g",
            PLAINLY,
        ])
        .args([format!("_PID={process}")])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, reason) = text.split_once(PLAINLY)?;
    Some(reason.trim().to_owned())
}
