//! Where the Synapse of this host comes from, which decides who upgrades it.

use super::packages::{self, Versions};
use super::pip;
use crate::failure::Failure;
use crate::host::facts::Facts;
use crate::host::facts::PackageManager;
use crate::host::synapse;
use crate::state::paths;
use anyhow::{Error, Result};
use std::path::PathBuf;

/// The origin of the Synapse of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A venv of this program, with this Python.
    Own(PathBuf),
    /// A package of the package manager.
    Package {
        /// Who upgrades it.
        manager: PackageManager,
        /// Its name.
        name: String,
    },
    /// A Python of the administrator, who installed Synapse with pip.
    Python {
        /// Its path.
        python: PathBuf,
        /// Its owner, if that is not root.
        owner: Option<String>,
    },
}

/// The newest release of Synapse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Available {
    /// The newest release that this host could have.
    pub newest: String,
    /// Whether it is newer than the installed one.
    pub newer: bool,
}

impl Origin {
    /// The origin of the Synapse in the facts of a host.
    pub fn of(facts: &Facts) -> Self {
        let found = facts.synapse.as_ref();
        let Some(found) = found.filter(|found| !paths::is_our_python(&found.python)) else {
            return Self::Own(facts.python.clone());
        };
        let owned = facts.packages.and_then(|manager| {
            let name = packages::owner(manager, &synapse::place(&found.python)?)?;
            Some(Self::Package { manager, name })
        });
        owned.unwrap_or_else(|| Self::Python {
            python: found.python.clone(),
            owner: facts.python_owner.clone(),
        })
    }

    /// Asks pip or the package manager for the newest release. `installed` is the version of the installed Synapse.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn available(&self, installed: &str) -> Result<Available> {
        match self {
            Self::Package { manager, name } => {
                let Versions {
                    installed,
                    candidate,
                } = packages::versions(*manager, name)?;
                Ok(Available {
                    newer: installed != candidate,
                    newest: candidate,
                })
            }
            Self::Own(python) | Self::Python { python, .. } => {
                let newest = pip::newest(python).map_err(|error| self.advised(error))?;
                // An administrator may have configured pip to offer pre-releases, which are for those who name them.
                let newer = pip::precedes(installed, &newest) && !pip::is_pre_release(&newest);
                Ok(Available { newest, newer })
            }
        }
    }

    /// Adds the remedy to the error of a pip that root does not run.
    fn advised(&self, error: Error) -> Error {
        match self {
            Self::Python {
                python,
                owner: Some(owner),
            } => Failure::from(error)
                .help(format!(
                    "sudo -u {owner} {} -m pip index versions matrix-synapse",
                    python.display()
                ))
                .into(),
            _ => error,
        }
    }

    /// The command that upgrades a Synapse that this program did not install.
    pub fn command(&self, version: &str) -> Option<String> {
        match self {
            Self::Own(_) => None,
            Self::Package { manager, name } => Some(match manager {
                PackageManager::Apt => format!("apt-get install --only-upgrade {name}"),
                PackageManager::Dnf => format!("dnf upgrade {name}"),
            }),
            Self::Python { python, owner } => {
                let by = owner.as_ref();
                let by = by.map_or(String::new(), |owner| format!("sudo -u {owner} "));
                let python = python.display();
                Some(format!(
                    "{by}{python} -m pip install matrix-synapse=={version}"
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_origin_has_its_command() {
        let package = |manager| Origin::Package {
            manager,
            name: "matrix-synapse-py3".to_owned(),
        };
        let python = |owner: Option<&str>| Origin::Python {
            python: PathBuf::from("/srv/venv/bin/python"),
            owner: owner.map(str::to_owned),
        };
        for (origin, command) in [
            (Origin::Own(PathBuf::from("/opt/x")), None),
            (
                package(PackageManager::Apt),
                Some("apt-get install --only-upgrade matrix-synapse-py3"),
            ),
            (
                package(PackageManager::Dnf),
                Some("dnf upgrade matrix-synapse-py3"),
            ),
            (
                python(None),
                Some("/srv/venv/bin/python -m pip install matrix-synapse==1.163.2"),
            ),
            (
                python(Some("matrix")),
                Some("sudo -u matrix /srv/venv/bin/python -m pip install matrix-synapse==1.163.2"),
            ),
        ] {
            assert_eq!(origin.command("1.163.2").as_deref(), command);
        }
    }
}
