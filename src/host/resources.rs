//! Accounts, directories, secrets, the key, the database: whether they are there, made, taken away.

use super::facts::Password;
use super::{Host, files, postgres, synapse, tools::Tool};
use crate::paths;
use crate::paths::{SYSUSERS, TMPFILES};
use crate::plan::state::{Resource, State};
use anyhow::{Context, Result, ensure};
use std::path::Path;

impl Host {
    /// Which of these are there.
    pub(super) fn existing<'a>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
    ) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        for resource in resources {
            if self.exists(resource)? {
                found.push(resource.clone());
            }
        }
        Ok(found)
    }

    fn exists(&self, resource: &Resource) -> Result<bool> {
        Ok(match resource {
            Resource::Account(name) => users::get_user_by_name(name).is_some(),
            Resource::Directory(path) => Path::new(path).is_dir(),
            Resource::Venv(version) => {
                let python = format!("{}/bin/python", paths::VENV);
                synapse::find(Some(Path::new(&python)))
                    .is_some_and(|found| found.version == *version)
            }
            Resource::Secret(name) => Path::new(&paths::secret(name)).exists(),
            Resource::PasswordFile(path) => {
                files::read(path)? == Some(self.password_file()?.into_bytes())
            }
            Resource::SigningKey => Path::new(paths::SIGNING_KEY).exists(),
            // One that does not answer has nothing to show; what needs it is refused before.
            Resource::DatabaseRole(name) => self
                .facts
                .answering_postgres()
                .is_some_and(|postgres| postgres.roles.contains(name)),
            Resource::Database { name, .. } => {
                self.facts.answering_postgres().is_some_and(|postgres| {
                    let mut databases = postgres.databases.iter();
                    databases.any(|database| database.name == *name)
                })
            }
        })
    }

    /// Makes one of them; the desired state has the texts that this takes.
    pub fn create(&self, resource: &Resource, desired: &State) -> Result<()> {
        match resource {
            Resource::Account(_) => {
                let text = contents(desired, SYSUSERS)?;
                Tool::new("systemd-sysusers")
                    .args(["-"])
                    .input(text)
                    .run()
                    .map(drop)
            }
            Resource::Directory(path) if Path::new(path).is_dir() => Ok(()),
            Resource::Directory(path) => files::directory(path, 0o755),
            Resource::Venv(version) => synapse::install(version),
            Resource::Secret(name) => {
                let path = paths::secret(name);
                files::replace(&path, random()?.as_bytes(), 0o600)?;
                files::give(&path, "root", "synapse", 0o640)
            }
            Resource::PasswordFile(path) => {
                // libpq refuses a password file that others may read, so it belongs to Synapse alone.
                files::replace(path, self.password_file()?.as_bytes(), 0o600)?;
                files::give(path, "synapse", "synapse", 0o600)
            }
            Resource::SigningKey => synapse::generate_signing_key(&self.facts.python),
            Resource::DatabaseRole(name) => postgres::create_role(name),
            Resource::Database { name, owner } => {
                postgres::create_database(name, owner)?;
                postgres::reachable(name, owner).with_context(|| {
                    format!("{owner} cannot reach its database; pg_hba.conf needs the line: local {name} {owner} peer")
                })
            }
        }
    }

    /// Owners and modes of directories.
    pub fn directories(&self, desired: &State) -> Result<()> {
        let text = contents(desired, TMPFILES)?;
        Tool::new("systemd-tmpfiles")
            .args(["--create", "-"])
            .input(text)
            .run()
            .map(drop)
    }

    /// Takes one of them away.
    pub fn remove(&self, resource: &Resource) -> Result<()> {
        match resource {
            Resource::Account(name) => {
                if users::get_user_by_name(name).is_some() {
                    Tool::new("userdel").args([name]).run()?;
                }
                if users::get_group_by_name(name).is_some() {
                    Tool::new("groupdel").args([name]).run()?;
                }
                Ok(())
            }
            Resource::Directory(path) if paths::SHARED.contains(&path.as_str()) => {
                files::remove_empty(path)
            }
            Resource::Directory(path) => files::remove_tree(path),
            Resource::Venv(_) => files::remove_tree(paths::VENV),
            Resource::Secret(name) => files::remove(paths::secret(name)),
            Resource::PasswordFile(path) => files::remove(path),
            Resource::SigningKey => files::remove(paths::SIGNING_KEY),
            Resource::DatabaseRole(name) => postgres::drop_role(name),
            Resource::Database { name, .. } => postgres::drop_database(name),
        }
    }

    /// The line of libpq's password file (PostgreSQL manual, 32.16), from the administrator's own file.
    fn password_file(&self) -> Result<String> {
        let Some(source) = &self.facts.password_source else {
            return Ok(files::read_text(paths::secret("pgpass"))?.unwrap_or_default());
        };
        let password = match &source.password {
            Password::Given(secret) => secret.reveal().to_owned(),
            Password::File(path) => {
                let text = files::read_text(path)?.with_context(|| {
                    format!("database.password_file: {} is missing", path.display())
                })?;
                let password = text.trim_end_matches(['\r', '\n']);
                ensure!(
                    !password.is_empty() && !password.contains('\n'),
                    "database.password_file: {} must hold one line with the password",
                    path.display()
                );
                password.to_owned()
            }
        };
        let fields = [
            &source.host,
            &source.port,
            &source.database,
            &source.user,
            &password,
        ];
        let escaped: Vec<String> = fields
            .iter()
            .map(|field| field.replace('\\', "\\\\").replace(':', "\\:"))
            .collect();
        Ok(format!("{}\n", escaped.join(":")))
    }
}

fn contents(desired: &State, path: &str) -> Result<Vec<u8>> {
    let file = desired
        .files
        .get(path)
        .with_context(|| format!("{path} was not rendered"))?;
    Ok(file.contents.clone())
}

/// 256 bits from the kernel, in hexadecimal digits.
fn random() -> Result<String> {
    let mut bytes = [0; 32];
    let mut source = std::fs::File::open("/dev/urandom").context("opening /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).context("reading /dev/urandom")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
