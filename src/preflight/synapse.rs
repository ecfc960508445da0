//! Checks of the installed Synapse and its Python.

use super::check::{Examined, Finding, finding, finding_if};
use crate::host::facts::{Facts, PackageManager};
use crate::host::python::{MissingPackage, installable};
use crate::state::paths;
use std::path::Path;

pub(super) fn python(at: &Examined) -> Option<Finding> {
    let python = at.scope.settings.synapse.python.as_ref()?;
    let path = python.as_str();
    finding_if(
        at.facts.synapse.is_none() && !paths::is_our_python(python.as_path()),
        format!("synapse.python: {path} has no Synapse"),
        format!(
            "{path} -m pip install 'matrix-synapse[redis,url-preview]', or leave synapse.python empty"
        ),
    )
}

/// Earlier releases do not know all keys of `stream_writers` and do not start with them (docs/upgrade.md, 1.152.0).
const MINIMUM: (u32, u32) = (1, 152);

pub(super) fn version(at: &Examined) -> Option<Finding> {
    let installed = at.facts.synapse.as_ref()?;
    finding_if(
        release(&installed.version) < MINIMUM,
        format!(
            "Synapse {} at {} is older than {}.{}",
            installed.version,
            installed.python.display(),
            MINIMUM.0,
            MINIMUM.1
        ),
        format!(
            "upgrade it, or set synapse.python to {}/bin/python to have one installed there",
            paths::VENV
        ),
    )
}

pub(super) fn damaged(at: &Examined) -> Option<Finding> {
    let (resource, reason) = at.facts.damaged.first()?;
    finding(
        format!("{resource} is damaged: {reason}"),
        "synapse-workers install builds it again, and restarts the processes that run from it"
            .to_owned(),
    )
}

fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|part| {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or(0)
    });
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Checks the Python of a Synapse that this program did not install for what workers, PostgreSQL and URL previews need.
pub(super) fn requirements(at: &Examined) -> Option<Finding> {
    let (facts, synapse) = (at.facts, at.facts.synapse.as_ref()?);
    let lacking = &facts.missing_packages;
    if lacking.is_empty() {
        return None;
    }
    let python = synapse.python.display();
    let named = lacking.iter().map(|lacking| match &lacking.found {
        Some(version) => format!("{} (it has {version})", lacking.requirement),
        None => lacking.requirement.to_string(),
    });
    let install = lacking
        .iter()
        .map(|lacking| format!(" '{}'", installable(&lacking.requirement)));
    // pip runs as the owner of the Python, so that root executes nothing that another account can replace.
    let owner = facts.python_owner.as_ref();
    let by = owner.map_or(String::new(), |owner| format!("sudo -u {owner} "));
    let pip = format!("{by}{python} -m pip install{}", install.collect::<String>());
    // A distribution has its own versions of packages, and usually refuses pip (PEP 668).
    let pinned = lacking.iter().any(|it| it.requirement.is_pinned());
    let cure = match (pinned, of_distribution(&synapse.python)) {
        (true, _) => format!(
            "{pip}, or set synapse.python to {}/bin/python to have Synapse installed there with them",
            paths::VENV
        ),
        (false, true) => format!("{}, or: {pip}", packages(facts, lacking)),
        (false, false) => pip,
    };
    finding(
        format!(
            "Synapse {} at {python} lacks packages that the settings need: {}",
            synapse.version,
            named.collect::<Vec<_>>().join(", ")
        ),
        cure,
    )
}

/// Whether a Python is that of the system, whose projects are packages of the distribution.
fn of_distribution(python: &Path) -> bool {
    ["/usr/bin", "/bin"]
        .iter()
        .any(|place| python.parent() == Some(Path::new(place)))
}

/// Python projects whose packages have other names: in Debian, and in Fedora.
static PACKAGES: &[(&str, &str, &str)] =
    &[("beautifulsoup4", "python3-bs4", "python3-beautifulsoup4")];

/// The command that installs the distribution's packages of these projects.
fn packages(facts: &Facts, lacking: &[MissingPackage]) -> String {
    let dnf = facts.packages == Some(PackageManager::Dnf);
    let names = lacking.iter().map(|lacking| {
        let name = &lacking.requirement.name;
        let row = PACKAGES.iter().find(|(project, ..)| project == name);
        match row {
            Some((_, _, fedora)) if dnf => format!(" {fedora}"),
            Some((_, debian, _)) => format!(" {debian}"),
            None => format!(" python3-{name}"),
        }
    });
    let command = if dnf {
        "dnf install"
    } else {
        "apt-get install"
    };
    format!("{command}{}", names.collect::<String>())
}
