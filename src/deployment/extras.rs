//! Optional Python packages of Synapse: its extras, and the condition under which Synapse refuses to start without each.
//! One table serves the venv that this program installs and the check of a Python that the administrator installed.

use super::Deployment;
use super::options::is_true;
use crate::settings::types::DatabaseKind;
use crate::state::SynapseVenv;
use serde_yaml::Value;

/// An extra of Synapse.
pub struct Extra {
    /// Its name in the metadata of Synapse.
    pub name: &'static str,
    /// How a venv of this program gets it.
    source: Source,
    /// Whether Synapse needs it for a deployment.
    wanted: fn(&Deployment) -> bool,
}

/// How a venv of this program gets an extra.
#[derive(PartialEq)]
enum Source {
    /// Every venv has it, see [`BASE_EXTRAS`](crate::state::BASE_EXTRAS).
    Base,
    /// pip installs it if it is wanted. It must be installable without a compiler.
    Pip,
    /// A package of the distribution, which the venv can import.
    Distribution,
}

/// Sources: the metadata of Synapse 1.163.2, and the calls of `check_requirements` in `synapse/config`.
///
/// Two extras of earlier releases are not here: `user-search` (PyICU) and `systemd` (systemd-python). PyPI has only their
/// sources, which need a compiler. Synapse works without PyICU. A venv of this program imports both from the packages of
/// the distribution, python3-icu and python3-systemd.
static EXTRAS: &[Extra] = &[
    // config/redis.py
    Extra {
        name: "redis",
        source: Source::Base,
        wanted: |deployment| deployment.has_workers(),
    },
    // storage/engines/__init__.py. PyPI has no built package of psycopg2.
    Extra {
        name: "postgres",
        source: Source::Distribution,
        wanted: |deployment| {
            let kind = deployment.database();
            matches!(kind, DatabaseKind::Local | DatabaseKind::External)
        },
    },
    // config/repository.py
    Extra {
        name: "url-preview",
        source: Source::Base,
        wanted: |deployment| deployment.settings.url_previews.enabled,
    },
    // config/oidc.py
    Extra {
        name: "oidc",
        source: Source::Pip,
        wanted: |deployment| {
            has(deployment, "oidc_providers") || flag(deployment, "oidc_config", "enabled", false)
        },
    },
    // config/saml2.py
    Extra {
        name: "saml2",
        source: Source::Pip,
        wanted: |deployment| {
            flag(deployment, "saml2_config", "enabled", true)
                && ["sp_config", "config_path"]
                    .iter()
                    .any(|key| flag(deployment, "saml2_config", key, false))
        },
    },
    // config/jwt.py: also while it is not enabled.
    Extra {
        name: "jwt",
        source: Source::Pip,
        wanted: |deployment| has(deployment, "jwt_config"),
    },
    // config/metrics.py: the presence of the key counts.
    Extra {
        name: "sentry",
        source: Source::Pip,
        wanted: |deployment| deployment.option("sentry").is_some(),
    },
    // config/tracer.py
    Extra {
        name: "opentracing",
        source: Source::Pip,
        wanted: |deployment| flag(deployment, "opentracing", "enabled", false),
    },
    // config/cache.py
    Extra {
        name: "cache-memory",
        source: Source::Pip,
        wanted: |deployment| flag(deployment, "caches", "track_memory_usage", false),
    },
    // config/modules.py and config/password_auth_providers.py load the module by its name. Synapse itself does not
    // require this extra.
    Extra {
        name: "matrix-synapse-ldap3",
        source: Source::Pip,
        wanted: |deployment| {
            ["modules", "password_providers"]
                .iter()
                .filter_map(|key| deployment.option(key))
                .any(|value| names_module(&value, "ldap_auth_provider."))
        },
    },
];

/// Whether an option is set to a value that Python counts as true.
pub(super) fn has(deployment: &Deployment, key: &str) -> bool {
    deployment.option(key).as_ref().is_some_and(is_true)
}

/// Whether a key in an option is true. `default` counts if a non-empty option lacks the key.
pub(super) fn flag(deployment: &Deployment, option: &str, key: &str, default: bool) -> bool {
    let option = deployment.option(option).filter(is_true);
    option.is_some_and(|option| option.get(key).map_or(default, is_true))
}

/// Whether a list of modules has one whose name begins so.
pub(super) fn names_module(value: &Value, prefix: &str) -> bool {
    let modules = value.as_sequence().into_iter().flatten();
    modules
        .filter_map(|module| module.get("module")?.as_str())
        .any(|name| name.starts_with(prefix))
}

impl Deployment {
    /// The extras that Synapse needs.
    pub fn extras(&self) -> impl Iterator<Item = &'static str> {
        let wanted = EXTRAS.iter().filter(|extra| (extra.wanted)(self));
        wanted.map(|extra| extra.name)
    }

    /// The venv that this program installs, if Synapse runs from one.
    pub fn venv(&self) -> SynapseVenv {
        let by_pip = |extra: &&Extra| extra.source == Source::Pip && (extra.wanted)(self);
        let synapse = &self.settings.synapse;
        SynapseVenv {
            version: synapse.version.to_string(),
            extras: EXTRAS
                .iter()
                .filter(by_pip)
                .map(|extra| extra.name.to_owned())
                .collect(),
            packages: synapse
                .packages
                .iter()
                .map(|package| package.requirement())
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::BASE_EXTRAS;

    #[test]
    fn the_base_extras_are_rows() {
        let base = EXTRAS.iter().filter(|extra| extra.source == Source::Base);
        let base: Vec<&str> = base.map(|extra| extra.name).collect();
        assert_eq!(base, BASE_EXTRAS);
    }
}
