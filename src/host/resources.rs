//! Resources: accounts, directories, secrets, the signing key and the database. This module tests whether they exist,
//! creates them and removes them.

use super::postgres::{self, Access};
use super::{Host, acme, admission, adopted, compressor, files, synapse, tools::Tool};
use crate::deployment::secrets::OWN_POSTGRES_PASSWORD;
use crate::failure::Failure;
use crate::plan::step::Verb;
use crate::state::admission::listens;
use crate::state::paths;
use crate::state::paths::{SYSUSERS, TMPFILES};
use crate::state::{Observed, Resource, State};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

impl Host {
    /// The resources that exist.
    pub(super) fn existing<'a>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
        desired: &State,
    ) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        for resource in resources {
            if self.exists(resource, desired)? {
                found.push(resource.clone());
            }
        }
        Ok(found)
    }

    /// The desired resources that exist and are damaged, with the reasons.
    pub(super) fn damaged(&self, found: &Observed, desired: &State) -> BTreeMap<Resource, String> {
        let missing = desired.resources.difference(&found.resources);
        missing
            .filter_map(|resource| Some((resource.clone(), damage(resource)?)))
            .collect()
    }

    fn exists(&self, resource: &Resource, desired: &State) -> Result<bool> {
        Ok(match resource {
            Resource::Group(name) => users::get_group_by_name(name).is_some(),
            Resource::Account(name) => {
                users::get_user_by_name(name).is_some() && users::get_group_by_name(name).is_some()
            }
            Resource::Directory(path) => files::is_directory(path),
            // Whatever a venv that is no longer needed contains, its directory is there to remove.
            Resource::Venv(venv) if !desired.resources.contains(resource) => {
                files::is_directory(venv.directory())
            }
            Resource::Venv(venv) => synapse::ours(venv).is_some(),
            Resource::Compressor(version) => {
                compressor::version().as_ref() == Some(version)
                    && (!desired.resources.contains(resource)
                        || compressor::damage(version).is_none())
            }
            Resource::Secret(name) => self.has_secret(name)?,
            Resource::Composed(name) => self.has_composed(name, desired)?,
            Resource::Pair => files::exists(paths::ACME_PAIR),
            Resource::SigningKey => self.has_signing_key()?,
            // A server that does not answer shows no roles; preflight checks reject whatever needs it.
            Resource::DatabaseRole(name) | Resource::MonitorRole(name) => self
                .facts
                .answering_postgres()
                .is_some_and(|postgres| postgres.roles.contains(name)),
            Resource::Database { name, .. } => {
                self.facts.answering_postgres().is_some_and(|postgres| {
                    let mut databases = postgres.databases.iter();
                    databases.any(|database| database.name == *name)
                })
            }
            Resource::RolePassword(role) => self.has_role_password(role)?,
            Resource::Included { file, name } => admission::includes(file, name)?,
            Resource::Listening { address, .. } => self
                .facts
                .cluster
                .as_ref()
                .is_some_and(|cluster| listens(&cluster.admission.listening, *address)),
            Resource::Disabled(service) => !self.systemd.is_enabled(service)?,
            Resource::Stopped(service) => !self.systemd.runs(service)?,
        })
    }

    /// Creates a resource. Some resources need texts of the desired state.
    ///
    /// # Errors
    /// When the program, systemd or PostgreSQL that creates it fails.
    pub fn create(&self, resource: &Resource, desired: &State) -> Result<()> {
        match resource {
            Resource::Group(_) | Resource::Account(_) => {
                let text = desired.contents(SYSUSERS)?;
                Tool::new("systemd-sysusers")
                    .args(["-"])
                    .input(text)
                    .run()
                    .map(drop)
            }
            Resource::Directory(path) if files::is_directory(path) => Ok(()),
            Resource::Directory(path) => files::directory(path, 0o755),
            Resource::Venv(venv) => synapse::install(venv),
            Resource::Compressor(version) => compressor::install(version),
            Resource::Secret(name) => self.make_secret(name),
            Resource::Composed(name) => self.compose(name, desired),
            Resource::Pair => acme::create_pair(desired),
            Resource::SigningKey if self.facts.handed => self.copy_signing_key(),
            Resource::SigningKey => synapse::generate_signing_key(&self.facts.python, desired),
            Resource::DatabaseRole(name) => postgres::create_role(&self.superuser(), name),
            Resource::RolePassword(role) => {
                let password = self.value(OWN_POSTGRES_PASSWORD)?;
                postgres::set_password(&self.superuser(), role, Some(&password))
            }
            Resource::Included { file, name } => admission::include(file, name),
            Resource::Listening { unit, address } => {
                self.systemd
                    .jobs(Verb::Restart, std::slice::from_ref(unit))?;
                admission::listens_after_restart(&self.superuser(), *address)
            }
            Resource::Disabled(service) => {
                self.systemd.disable(std::slice::from_ref(service))?;
                self.systemd.reload()
            }
            Resource::Stopped(service) => {
                self.systemd
                    .jobs(Verb::Stop, std::slice::from_ref(service))?;
                if !resource.is_adopted_service() {
                    return Ok(());
                }
                // Two main processes with one database would damage rooms.
                match adopted::process_that_reads(&self.facts.adopted_config) {
                    None => Ok(()),
                    Some(process) => Err(Failure::failed(format!(
                        "{service} has stopped, and the adopted Synapse still runs as process {process}"
                    ))
                    .help("name the service that starts it with --adopt-service, or stop it yourself")
                    .into()),
                }
            }
            Resource::MonitorRole(name) => postgres::create_monitor(&self.superuser(), name),
            Resource::Database { name, owner } => {
                let superuser = self.superuser();
                postgres::create_database(&superuser, name, owner)?;
                let access = Access {
                    database: name.clone(),
                    user: Some(owner.clone()),
                    ..superuser
                };
                postgres::reachable(&access).with_context(|| {
                    format!("{owner} cannot reach its database; pg_hba.conf needs the line: local {name} {owner} peer")
                })
            }
        }
    }

    /// Whether the signing key that this server has used is missing. The record alone does not prove it: an interrupted
    /// first run records the key before it is created.
    pub fn has_lost_key(&self, desired: &State, observed: &Observed) -> bool {
        let key = Resource::SigningKey;
        let missing = desired.resources.contains(&key) && !observed.resources.contains(&key);
        let used = || {
            let in_use = observed.in_use.contains(&key);
            in_use || (observed.created.contains(&key) && self.has_data(observed))
        };
        missing && used()
    }

    /// Whether Synapse has written to a database that this program created.
    fn has_data(&self, observed: &Observed) -> bool {
        let database = observed.created.iter().find_map(|created| match created {
            Resource::Database { name, .. } => Some(name),
            _ => None,
        });
        let used = |name: &String| postgres::is_used(&self.superuser(), name).unwrap_or(false);
        files::exists(paths::SQLITE) || database.is_some_and(used)
    }

    /// Whether the role has the password of this program's secret.
    fn has_role_password(&self, role: &str) -> Result<bool> {
        let Some(password) = files::read_text(paths::secret(OWN_POSTGRES_PASSWORD))? else {
            return Ok(false);
        };
        let answers = self.facts.answering_postgres().is_some();
        Ok(answers && postgres::has_password(&self.superuser(), role, &password)?)
    }

    fn superuser(&self) -> Access {
        Access::superuser(self.facts.postgres_port)
    }

    /// Restores an adopted service. It is not an error if the service was removed since.
    fn give_back(&self, service: &str, how: impl FnOnce(&[String]) -> Result<()>) -> Result<()> {
        match self.systemd.knows(service)? {
            true => how(&[service.to_owned()]),
            false => Ok(()),
        }
    }

    /// Sets ownership and permissions of directories.
    ///
    /// # Errors
    /// With the output of systemd-tmpfiles.
    pub fn directories(&self, desired: &State) -> Result<()> {
        let text = desired.contents(TMPFILES)?;
        Tool::new("systemd-tmpfiles")
            .args(["--create", "-"])
            .input(text)
            .run()
            .map(drop)
    }

    /// Removes a resource.
    ///
    /// # Errors
    /// When the program, systemd or PostgreSQL that removes it fails.
    pub fn remove(&self, resource: &Resource) -> Result<()> {
        match resource {
            Resource::Account(name) => {
                if users::get_user_by_name(name).is_some() {
                    Tool::new("userdel").args([name]).run()?;
                }
                remove_group(name)
            }
            Resource::Group(name) => remove_group(name),
            Resource::Directory(path) if paths::SHARED.contains(&path.as_str()) => {
                files::remove_empty(path)
            }
            Resource::Directory(path) => files::remove_tree(path),
            Resource::Venv(venv) => files::remove_tree(venv.directory()),
            Resource::Compressor(_) => files::remove_tree(paths::COMPRESSOR),
            Resource::Secret(name) => files::remove(paths::secret(name)),
            Resource::Composed(name) => files::remove(paths::secret(name)),
            Resource::Pair => files::remove(paths::ACME_PAIR),
            Resource::SigningKey => files::remove(paths::SIGNING_KEY),
            Resource::DatabaseRole(name) | Resource::MonitorRole(name) => {
                postgres::drop_role(&self.superuser(), name)
            }
            Resource::RolePassword(role) => postgres::set_password(&self.superuser(), role, None),
            Resource::Included { file, name } => admission::exclude(file, name),
            // The administrator restarts PostgreSQL. Until then it admits no client at this address.
            Resource::Listening { .. } => Ok(()),
            Resource::Disabled(service) => self.give_back(service, |units| {
                self.systemd.enable(units)?;
                self.systemd.reload()
            }),
            Resource::Stopped(service) => {
                self.give_back(service, |units| self.systemd.jobs(Verb::Start, units))
            }
            Resource::Database { name, .. } => postgres::drop_database(&self.superuser(), name),
        }
    }
}

/// Why a venv has to be built again; `None` for an intact or missing one, and for other resources.
pub fn damage(resource: &Resource) -> Option<String> {
    match resource {
        Resource::Venv(venv) => synapse::damage(venv),
        Resource::Compressor(version) => compressor::damage(version),
        _ => None,
    }
}

fn remove_group(name: &str) -> Result<()> {
    match users::get_group_by_name(name) {
        Some(_) => Tool::new("groupdel").args([name]).run().map(drop),
        None => Ok(()),
    }
}
