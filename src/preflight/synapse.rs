//! Checks of the installed Synapse and its Python.

use super::check::{Examined, Finding, finding, finding_if};
use crate::host::facts::{Facts, PackageManager};
use crate::host::python::{MissingPackage, installable};
use crate::settings::{Row, Settings};
use crate::state::paths;
use crate::topology::Release;
use crate::topology::releases::{NEWEST, OLDEST, OLDEST_DATE};
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

/// The Synapse that will run, with the words for its place, and how to upgrade it to the default of `synapse.version`.
struct Chosen {
    version: String,
    place: String,
    upgrade: String,
}

impl Chosen {
    fn of(at: &Examined) -> Self {
        let newest = Row::of("synapse.version").and_then(|row| row.default);
        let newest = newest.unwrap_or_default();
        let host = at.facts.synapse.as_ref();
        match host.filter(|found| !paths::is_our_python(&found.python)) {
            Some(found) => Self {
                version: found.version.clone(),
                place: format!(" at {}", found.python.display()),
                upgrade: format!(
                    "upgrade it to {newest}, or set synapse.python to {}/bin/python to have Synapse {newest} installed there",
                    paths::VENV
                ),
            },
            None => Self {
                version: at.scope.venv().version,
                place: " in synapse.version".to_owned(),
                upgrade: format!("set synapse.version to {newest}"),
            },
        }
    }

    fn release(&self) -> Release {
        Release::of(&self.version)
    }
}

pub(super) fn version(at: &Examined) -> Option<Finding> {
    let chosen = Chosen::of(at);
    finding_if(
        chosen.release() < OLDEST,
        format!(
            "Synapse {}{} is older than {OLDEST}, the oldest supported release ({OLDEST_DATE})",
            chosen.version, chosen.place
        ),
        chosen.upgrade,
    )
}

pub(super) fn unknown(at: &Examined) -> Option<Finding> {
    let chosen = Chosen::of(at);
    finding_if(
        chosen.release() > NEWEST,
        format!(
            "Synapse {}{} is newer than {NEWEST}, the newest release that this synapse-workers knows",
            chosen.version, chosen.place
        ),
        "upgrade synapse-workers if it has a newer release; until then install asks Synapse which requests its workers serve",
    )
}

/// Settings that releases after the oldest supported one introduced: the key, the release, whether it is set, and what
/// an earlier release does.
type Introduced = (&'static str, Release, fn(&Settings) -> bool, &'static str);

#[rustfmt::skip] // one setting per line
static INTRODUCED: &[Introduced] = &[
    ("redis.username", Release(1, 162), |settings| settings.redis.username.is_some(), "logs in to Redis without a user name"),
];

/// The settings that a release introduced after an older one.
pub fn settings_since(older: Release, newer: Release) -> impl Iterator<Item = &'static str> {
    let rows = INTRODUCED.iter();
    rows.filter(move |(_, since, ..)| older < *since && *since <= newer)
        .map(|(key, ..)| *key)
}

pub(super) fn settings(at: &Examined) -> Option<Finding> {
    let chosen = Chosen::of(at);
    let settings = &at.scope.settings;
    let mut newer = INTRODUCED.iter();
    let (key, since, _, effect) =
        newer.find(|(_, since, is_set, _)| chosen.release() < *since && is_set(settings))?;
    finding(
        format!(
            "{key} needs Synapse {since}: Synapse {}{} {effect}",
            chosen.version, chosen.place
        ),
        format!("{}, or leave {key} empty", chosen.upgrade),
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
