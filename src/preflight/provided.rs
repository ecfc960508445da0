//! Checks of what only the administrator can provide: secrets, an external Redis, and the requirements of a Synapse
//! that this program did not install.

use super::check::{Examined, Finding, finding};
use crate::host::facts::{Facts, PackageManager};
use crate::host::python::{MissingPackage, installable};
use std::path::Path;

pub(super) fn lacking_secret(at: &Examined) -> Option<Finding> {
    let lacking = at.scope.secrets().find(|secret| {
        let there =
            at.facts.provided.contains_key(secret.name) || at.facts.stored.contains(secret.name);
        !secret.generated && !there && (secret.needed)(at.scope.deployment)
    })?;
    finding(
        format!("the {} is not known", lacking.name.replace('_', " ")),
        lacking.how_to_provide,
    )
}

pub(super) fn unusable_file(at: &Examined) -> Option<Finding> {
    let wanted = |name: &str| at.scope.secrets().any(|secret| secret.name == name);
    let (_, error) = at.facts.unusable.iter().find(|(name, _)| wanted(name))?;
    finding(
        error.clone(),
        "write the password into it, as one line that root can read",
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
    let cure = match of_distribution(&synapse.python) {
        true => format!("{}, or: {pip}", packages(facts, lacking)),
        false => pip,
    };
    finding(
        format!(
            "Synapse {} at {python} lacks what these settings need: {}",
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

pub(super) fn redis(at: &Examined) -> Option<Finding> {
    let error = at.facts.external_redis.as_ref()?.as_ref().err()?;
    let redis = &at.scope.settings.redis;
    let (host, port) = (redis.host.as_ref()?.as_str(), redis.port.get());
    finding(
        format!("redis.host: {host} port {port} does not serve Synapse: {error}"),
        format!(
            "check redis.host, redis.port, redis.tls, redis.ca_file and redis.password_file, by hand with: \
                     redis-cli -h {host} -p {port}{} ping",
            if redis.tls { " --tls" } else { "" }
        ),
    )
}
