//! Checks of programs other than Synapse.

use super::check::{Examined, Finding, finding, finding_if};
use crate::host::facts::PackageManager;
use crate::host::programs::install_command;
use crate::render::warm::decision;
use crate::settings::types::WarmMode;
use crate::state::{paths, units};

pub(super) fn missing(at: &Examined) -> Option<Finding> {
    let missing = &at.facts.missing;
    if missing.is_empty() {
        return None;
    }
    finding(
        format!("missing: {}", missing.join(", ")),
        match install_command(at.facts) {
            Some(command) => format!(
                "{} (or: synapse-workers install --packages)",
                command.join(" ")
            ),
            None => "install them with this system's package manager".to_owned(),
        },
    )
}

pub(super) fn launcher(at: &Examined) -> Option<Finding> {
    let named = at.scope.settings.mas.is_on();
    finding_if(
        at.facts.lacks_launcher && (named || at.scope.runs(units::MAIN_SOCKET)),
        format!(
            "{} is missing, a part of this program's package",
            paths::LAUNCHER
        ),
        match named {
            true => "install the package again",
            false => {
                "install the package again; or set sockets.held to false (requests then fail while processes restart)"
            }
        },
    )
}

pub(super) fn warm_start(at: &Examined) -> Option<Finding> {
    finding_if(
        at.facts.lacks_warm_start
            && at
                .scope
                .units
                .iter()
                .any(|unit| units::is_fork_server(unit)),
        format!(
            "{} is missing, a part of this program's package",
            paths::WARM_START
        ),
        "install the package again; or set warm.mode to off",
    )
}

pub(super) fn immortal(at: &Examined) -> Option<Finding> {
    if at.scope.settings.warm.mode != WarmMode::Immortal {
        return None;
    }
    let problem = decision::immortal_problem(&at.facts.for_rendering())?;
    finding(
        format!("warm.mode is immortal, which here has the effect of fork: {problem}"),
        "set warm.mode to fork",
    )
}

pub(super) fn compressor(at: &Examined) -> Option<Finding> {
    let processor = at.facts.processor;
    finding_if(
        at.scope.settings.compressor.enabled && processor != "x86_64",
        format!(
            "compressor.enabled: PyPI has the state compressor only for x86_64, and this host is {processor}"
        ),
        "set compressor.enabled to false",
    )
}

pub(super) fn jemalloc(at: &Examined) -> Option<Finding> {
    finding_if(
        at.scope.settings.synapse.jemalloc && !at.facts.jemalloc,
        "jemalloc is missing, so processes will use more memory",
        match at.facts.packages {
            Some(PackageManager::Dnf) => "dnf install jemalloc",
            _ => "apt-get install libjemalloc2",
        },
    )
}
