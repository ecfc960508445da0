//! The releases of Synapse that the package manager of the host offers.

use crate::host::facts::PackageManager;
use crate::host::tools::Tool;
use anyhow::{Context, Result};
use std::path::Path;
use std::time::Duration;

/// Timeout of a query of dnf, which may download the lists of its repositories.
const QUERY: Duration = Duration::from_secs(600);

/// A version that is installed, and the one that the package manager would install.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub installed: String,
    pub candidate: String,
}

/// The package that contains this file; `None` if there is none.
pub(super) fn owner(manager: PackageManager, place: &Path) -> Option<String> {
    let query = match manager {
        PackageManager::Apt => Tool::new("dpkg-query").args(["--search"]),
        PackageManager::Dnf => {
            Tool::new("rpm").args(["--query", "--queryformat", "%{NAME}\\n", "--file"])
        }
    };
    let output = query.args([place]).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| package(&text))?
}

/// The package in the output of `dpkg-query --search`, `PACKAGE[:ARCHITECTURE][, …]: PATH`, or in a list of packages. The
/// packages of extras, NAME+EXTRA, own the directory as well.
fn package(text: &str) -> Option<String> {
    let names = text
        .lines()
        .filter_map(|line| line.split([':', ',']).next());
    let names = names.map(str::trim).filter(|name| !name.is_empty());
    names.min_by_key(|name| name.len()).map(str::to_owned)
}

/// The versions of an installed package.
///
/// # Errors
/// When the package manager fails, or when its output has another form.
pub(super) fn versions(manager: PackageManager, package: &str) -> Result<Versions> {
    match manager {
        PackageManager::Apt => {
            let text = Tool::new("apt-cache").args(["policy", package]).run()?;
            policy(&text).with_context(|| format!("apt-cache knows no version of {package}"))
        }
        PackageManager::Dnf => {
            let form = "%{VERSION}-%{RELEASE}";
            let installed = Tool::new("rpm").args(["--query", "--queryformat", form, package]);
            let installed = installed.run()?.trim().to_owned();
            let newer = Tool::new("dnf")
                .args(["--quiet", "repoquery", "--upgrades", "--latest-limit", "1"])
                .args(["--queryformat", "%{version}-%{release}\\n", package])
                .with_archives()
                .within(QUERY)
                .run()?;
            let newer = newer.split_whitespace().next_back();
            Ok(Versions {
                candidate: newer.unwrap_or(&installed).to_owned(),
                installed,
            })
        }
    }
}

/// The versions in the output of `apt-cache policy`.
fn policy(text: &str) -> Option<Versions> {
    let value = |key: &str| {
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.trim().strip_prefix(key))?.trim();
        (found != "(none)").then(|| found.to_owned())
    };
    Some(Versions {
        installed: value("Installed:")?,
        candidate: value("Candidate:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_file_is_one_package() {
        for (text, name) in [
            (
                "matrix-synapse-py3: /opt/venvs/x\n",
                Some("matrix-synapse-py3"),
            ),
            ("matrix-synapse:all: /usr/lib/x\n", Some("matrix-synapse")),
            (
                "matrix-synapse+postgres\nmatrix-synapse\n",
                Some("matrix-synapse"),
            ),
            ("", None),
        ] {
            assert_eq!(package(text).as_deref(), name);
        }
    }

    #[test]
    fn the_policy_of_apt_names_both_versions() {
        let text = "matrix-synapse-py3:\n  Installed: 1.162.0+trixie1\n  Candidate: 1.163.2+trixie1\n  Version table:\n     \
            1.163.2+trixie1 500\n        500 file:/srv/packages ./ Packages\n *** 1.162.0+trixie1 100\n";
        let versions = policy(text).unwrap();
        assert_eq!(versions.installed, "1.162.0+trixie1");
        assert_eq!(versions.candidate, "1.163.2+trixie1");
        assert_eq!(policy("x:\n  Installed: (none)\n  Candidate: 1.2\n"), None);
        assert_eq!(policy(""), None);
    }
}
