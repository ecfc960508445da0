//! The identity of a venv with Synapse: its release, its extras and the administrator's packages.

use super::digest::digest;
use super::paths;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Extras that every venv of this program has, whatever the settings: most servers need them, and a server that gets
/// its first worker keeps its venv.
pub const BASE_EXTRAS: [&str; 2] = ["redis", "url-preview"];

/// A venv of this program. Two venvs that differ in any part have different directories, so that a process never reads
/// the files of another one, and so that a rollback finds the venv that it returns to.
///
/// Records and manifests contain the text `VERSION[EXTRA,…] PROJECT==VERSION …`. With the base extras alone this is the
/// version, as earlier releases of this program wrote it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct SynapseVenv {
    /// The release of Synapse.
    pub version: String,
    /// Extras of Synapse besides [`BASE_EXTRAS`].
    pub extras: BTreeSet<String>,
    /// Requirements of the administrator, each `PROJECT==VERSION` with a [normalized](normalized) project.
    pub packages: BTreeSet<String>,
}

impl SynapseVenv {
    /// A venv with the base extras alone.
    pub fn base(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            extras: BTreeSet::new(),
            packages: BTreeSet::new(),
        }
    }

    /// Whether it has neither further extras nor packages.
    pub fn is_base(&self) -> bool {
        self.extras.is_empty() && self.packages.is_empty()
    }

    /// What pip installs: Synapse first, then the packages.
    pub fn requirements(&self) -> Vec<String> {
        let extras = BASE_EXTRAS.into_iter();
        let extras: BTreeSet<&str> = extras
            .chain(self.extras.iter().map(String::as_str))
            .collect();
        let extras: Vec<&str> = extras.into_iter().collect();
        let synapse = format!("matrix-synapse[{}]=={}", extras.join(","), self.version);
        [synapse]
            .into_iter()
            .chain(self.packages.iter().cloned())
            .collect()
    }

    /// Its directory.
    pub fn directory(&self) -> String {
        let base = format!("{}-{}", paths::VENV, self.version);
        if self.is_base() {
            return base;
        }
        let digest = digest(self.requirements().join("\n").as_bytes());
        format!("{base}-{}", &digest[..8])
    }

    /// Its Python.
    pub fn python(&self) -> PathBuf {
        paths::python(&self.directory())
    }
}

impl From<String> for SynapseVenv {
    fn from(text: String) -> Self {
        let mut words = text.split(' ');
        let first = words.next().unwrap_or_default();
        let (version, extras) = match first.strip_suffix(']').and_then(|it| it.split_once('[')) {
            Some((version, extras)) => (version, extras),
            None => (first, ""),
        };
        let extras = extras.split(',').filter(|extra| !extra.is_empty());
        Self {
            version: version.to_owned(),
            extras: extras.map(str::to_owned).collect(),
            packages: words.map(str::to_owned).collect(),
        }
    }
}

impl From<SynapseVenv> for String {
    fn from(venv: SynapseVenv) -> Self {
        let mut text = venv.version;
        if !venv.extras.is_empty() {
            let extras: Vec<String> = venv.extras.into_iter().collect();
            text.push_str(&format!("[{}]", extras.join(",")));
        }
        for package in venv.packages {
            text.push(' ');
            text.push_str(&package);
        }
        text
    }
}

/// `Synapse 1.163.2 with oidc and ldap3==1.0`.
impl std::fmt::Display for SynapseVenv {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Synapse {}", self.version)?;
        let more: Vec<&str> = self
            .extras
            .iter()
            .chain(&self.packages)
            .map(String::as_str)
            .collect();
        match &more[..] {
            [] => Ok(()),
            more => write!(f, " with {}", more.join(", ")),
        }
    }
}

/// The normalized form of a Python project's name, for comparison: files have `_` where users write `-` or `.`
/// (packaging.python.org, "Names and normalization").
pub fn normalized(name: &str) -> String {
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Resource;

    fn venv(version: &str, extras: &[&str], packages: &[&str]) -> SynapseVenv {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        SynapseVenv {
            version: version.to_owned(),
            extras: owned(extras),
            packages: owned(packages),
        }
    }

    #[test]
    fn records_of_earlier_releases_name_the_base_venv() {
        let record = "{\"venv\":\"1.163.2\"}";
        let read: Resource = serde_json::from_str(record).unwrap();
        let base = SynapseVenv::base("1.163.2");
        assert_eq!(base.directory(), "/opt/synapse-workers/venv-1.163.2");
        assert_eq!(read, Resource::Venv(base));
        assert_eq!(serde_json::to_string(&read).unwrap(), record);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for (venv, text) in [
            (venv("1.170.0rc1", &["oidc"], &[]), "1.170.0rc1[oidc]"),
            (venv("1.163.2", &[], &["b==2", "a==1"]), "1.163.2 a==1 b==2"),
            (
                venv("1.163.2", &["saml2", "jwt"], &["a==1+x"]),
                "1.163.2[jwt,saml2] a==1+x",
            ),
        ] {
            let record = serde_json::to_string(&venv).unwrap();
            assert_eq!(record, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<SynapseVenv>(&record).unwrap(), venv);
        }
    }

    #[test]
    fn each_difference_gives_a_directory_of_its_own() {
        let all = [
            venv("1.163.2", &[], &[]),
            venv("1.163.1", &[], &[]),
            venv("1.163.2", &["oidc"], &[]),
            venv("1.163.2", &["jwt"], &[]),
            venv("1.163.2", &[], &["a==1"]),
            venv("1.163.2", &[], &["a==2"]),
            venv("1.163.2", &["oidc"], &["a==1"]),
        ];
        let directories: BTreeSet<String> = all.iter().map(SynapseVenv::directory).collect();
        assert_eq!(directories.len(), all.len(), "{directories:?}");
        let oidc = venv("1.163.2", &["oidc"], &["a==1"]);
        assert_eq!(
            oidc.requirements(),
            ["matrix-synapse[oidc,redis,url-preview]==1.163.2", "a==1"]
        );
    }
}
