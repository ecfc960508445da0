//! Secrets on the host. They are provided or generated, and composed into the files of programs that cannot read a
//! password file.

use super::facts::Source;
use super::files::Access;
use super::{Host, files};
use crate::deployment::secrets::{self, Reader, SECRETS, SIGNING_KEY};
use crate::settings::types;
use crate::state::State;
use crate::state::paths;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

impl Host {
    /// Whether a secret exists and equals the provided one, if any.
    pub(super) fn has_secret(&self, name: &str) -> Result<bool> {
        let path = paths::secret(name);
        match self.provided(name)? {
            Some(value) => Ok(files::read(path)?.as_deref() == Some(value.as_bytes())),
            None => Ok(files::exists(&path)),
        }
    }

    /// Writes the provided secret, or a random one.
    pub(super) fn make_secret(&self, name: &str) -> Result<()> {
        let value = match self.provided(name)? {
            Some(value) => value,
            None => {
                ensure!(
                    !self.facts.handed,
                    "the first host has no secret {name} for this host"
                );
                random()?
            }
        };
        write(name, value.as_bytes())
    }

    /// Whether the signing key exists and equals the one of the first host, if that is known.
    pub(super) fn has_signing_key(&self) -> Result<bool> {
        match self.provided(SIGNING_KEY)? {
            Some(value) => {
                Ok(files::read(paths::SIGNING_KEY)?.as_deref() == Some(value.as_bytes()))
            }
            None => Ok(files::exists(paths::SIGNING_KEY)),
        }
    }

    /// Writes the signing key of the first host.
    pub(super) fn copy_signing_key(&self) -> Result<()> {
        let value = self.provided(SIGNING_KEY)?;
        let value = value.context("the first host has no signing key for this host")?;
        let access = Access::of("root", paths::GROUP, 0o640)?;
        files::replace(paths::SIGNING_KEY, value.as_bytes(), access)
    }

    /// The secrets of this host that another host needs, with the signing key: those that are provided or exist, by name.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn secrets_for(&self, names: &[&str]) -> Result<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        let own = names.iter().map(|name| (*name, paths::secret(name)));
        // A host that needs one of them runs Synapse.
        let key = (!names.is_empty()).then(|| (SIGNING_KEY, paths::SIGNING_KEY.to_owned()));
        for (name, path) in own.chain(key) {
            let value = match self.provided(name)? {
                Some(value) => Some(value),
                None => files::read_text(path)?,
            };
            found.extend(value.map(|value| (name.to_owned(), value)));
        }
        Ok(found)
    }

    /// Takes over the secrets of the first host.
    pub fn hand_over(&mut self, secrets: &BTreeMap<String, String>) {
        let known = SECRETS.iter().map(|secret| secret.name);
        for name in known.chain([SIGNING_KEY]) {
            if let Some(value) = secrets.get(name) {
                let value = types::Secret::new(value);
                self.facts.provided.insert(name, Source::Value(value));
            }
        }
    }

    /// Whether a composed file equals its desired contents. For a file that is not desired: whether it exists.
    pub(super) fn has_composed(&self, name: &str, desired: &State) -> Result<bool> {
        let Some(file) = files::read(paths::secret(name))? else {
            return Ok(false);
        };
        if !desired.files.contains_key(&secrets::template(name)) {
            return Ok(true);
        }
        // No file contains a secret that is still to be created.
        let wanted = self.composed(name, desired).ok();
        Ok(wanted.is_some_and(|text| text.as_bytes() == file))
    }

    pub(super) fn compose(&self, name: &str, desired: &State) -> Result<()> {
        let text = self.composed(name, desired)?;
        let path = paths::secret(name);
        let (user, group, mode) = match composed(name)?.reader {
            Reader::Synapse => ("root", paths::GROUP, 0o640),
            Reader::SynapseAlone => (self.facts.user.as_str(), paths::GROUP, 0o600),
            Reader::Systemd => ("root", "root", 0o600),
        };
        files::replace(path, text.as_bytes(), Access::of(user, group, mode)?)
    }

    fn composed(&self, name: &str, desired: &State) -> Result<String> {
        let template = String::from_utf8(desired.contents(&secrets::template(name))?)?;
        secrets::compose(composed(name)?, &template, |secret| self.value(secret))
    }

    /// The value of a secret of this host.
    pub(super) fn value(&self, name: &str) -> Result<String> {
        match self.provided(name)? {
            Some(value) => Ok(value),
            None => files::read_text(paths::secret(name))?
                .with_context(|| format!("the secret {name} does not exist")),
        }
    }

    fn provided(&self, name: &str) -> Result<Option<String>> {
        match self.facts.provided.get(name) {
            None => Ok(None),
            Some(source) => value_of(source).map(Some),
        }
    }
}

/// Writes a secret, readable for those that use it.
pub(super) fn write(name: &str, value: &[u8]) -> Result<()> {
    let root_only = secrets::secret(name).is_some_and(|secret| secret.root_only);
    let access = match root_only {
        true => Access::of("root", "root", 0o600)?,
        false => Access::of("root", paths::GROUP, 0o640)?,
    };
    files::replace(paths::secret(name), value, access)
}

/// The value in the environment or in a file of the administrator.
pub(super) fn value_of(source: &Source) -> Result<String> {
    match source {
        Source::Value(value) => Ok(value.reveal().to_owned()),
        Source::File(path) => read_line(path),
    }
}

fn composed(name: &str) -> Result<&'static secrets::Composed> {
    secrets::composed(name).with_context(|| format!("this release does not compose {name}"))
}

/// The single line in a file of the administrator.
fn read_line(path: &Path) -> Result<String> {
    let text = files::read_text(path)?.with_context(|| format!("{} is missing", path.display()))?;
    let line = text.trim_end_matches(['\r', '\n']);
    ensure!(
        !line.is_empty() && !line.contains('\n'),
        "{} must contain one line with the secret",
        path.display()
    );
    Ok(line.to_owned())
}

/// 256 random bits from the kernel, in hexadecimal.
fn random() -> Result<String> {
    let bytes: [u8; 32] = files::random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
