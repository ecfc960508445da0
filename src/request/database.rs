//! Consistency of the settings with the database and the data of this server: the kind of the database, an SQLite file
//! whose data has moved, and paths that are hidden from units.

use super::model::Request;
use super::places::{NGINX, SYNAPSE};
use crate::failure::Failure;
use crate::host;
use crate::settings::types::DatabaseKind;
use crate::state::State;
use crate::state::paths;
use crate::state::synapse_config::Engine;
use crate::state::units;
use std::path::Path;

impl Request {
    /// Rejects combinations of settings that are valid one by one.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let database = self.database();
        let (external, sqlite) = (database == DatabaseKind::External, self.adopted.sqlite());
        if !self.adopted.is_empty() && external != sqlite.is_none() && !self.moved() {
            return Err(Failure::usage(format!(
                "database.kind is {database}, but the data of the adopted server is in {}; set it to {}",
                sqlite.unwrap_or("PostgreSQL".to_owned()),
                if external { "sqlite" } else { "external" },
            )));
        }
        if self.existing_database == Some(DatabaseKind::Sqlite)
            && (self.has_workers() || database != DatabaseKind::Sqlite)
        {
            return Err(self.how_to_migrate()?);
        }
        if self.existing_database == Some(DatabaseKind::Local) && database == DatabaseKind::Sqlite {
            return Err(Failure::preflight(
                "the data of this server is in the host's own PostgreSQL, and an SQLite database would be empty",
            )
            .help("set database.kind to auto"));
        }
        if database == DatabaseKind::Sqlite && self.settings.compressor.enabled {
            return Err(Failure::usage(
                "compressor.enabled: the state compressor requires PostgreSQL, and the data of this server is in SQLite; \
                 set it to false, or database.kind to `local`",
            ));
        }
        if database == DatabaseKind::Sqlite && self.has_workers() {
            return Err(Failure::usage(
                "database.kind: SQLite serves one process only, and there are workers; set it to `local` for the \
                 host's own PostgreSQL, or set `workers: []`",
            ));
        }
        let user = self.settings.synapse.user.as_str();
        if database == DatabaseKind::Local && self.settings.database.user.as_str() != user {
            return Err(Failure::usage(format!(
                "database.user: the host's own PostgreSQL identifies Synapse by its system user, so the role is `{user}`; \
                 set database.user to it, or database.kind to `external` with a database.host"
            )));
        }
        self.check_places()
    }

    /// Rejects paths that are hidden from units, or that a reboot deletes.
    fn check_places(&self) -> Result<(), Failure> {
        let settings = &self.settings;
        let media = settings.media_store_path.as_str();
        if let Some(reason) = SYNAPSE.refuse(Path::new(media)) {
            return Err(Failure::usage(format!(
                "media_store_path: {media} is {reason}; choose a directory such as /srv/synapse-media"
            )));
        }
        let web_root = settings.nginx.web_root.as_ref().map(|path| path.as_path());
        if let Some((path, reason)) = web_root.and_then(|path| Some((path, NGINX.refuse(path)?))) {
            return Err(Failure::usage(format!(
                "nginx.web_root: {} is {reason}; move the web client to a directory such as /srv/element",
                path.display()
            )));
        }
        let ca_file = settings.redis.ca_file.as_ref().map(|path| path.as_str());
        if let Some((path, reason)) =
            ca_file.and_then(|path| Some((path, SYNAPSE.refuse(Path::new(path))?)))
        {
            return Err(Failure::usage(format!(
                "redis.ca_file: {path} is {reason}; copy the file to a path such as /etc/ssl/redis-ca.pem"
            )));
        }
        let places = self.adopted.places();
        let python = settings.synapse.python.as_ref().map(|path| path.as_str());
        let mut places = places.iter().map(String::as_str).chain(python);
        match places.find_map(|path| Some((path, SYNAPSE.refuse(Path::new(path))?))) {
            None => Ok(()),
            Some((path, reason)) => Err(Failure::preflight(format!("{path} is {reason}")).help(
                "stop Synapse, move the directory to a path such as /srv/synapse, and set that path in its files",
            )),
        }
    }

    /// Whether the data of an adopted server has moved from its SQLite file to PostgreSQL.
    pub fn moved(&self) -> bool {
        self.adopted.sqlite().is_some() && self.existing_database != Some(DatabaseKind::Sqlite)
    }

    /// Whether an earlier state uses an SQLite file whose data has moved to PostgreSQL.
    pub fn left_sqlite(&self, then: &State) -> bool {
        then.engine() == Some(Engine::Sqlite)
            && self.existing_database != Some(DatabaseKind::Sqlite)
    }

    /// Adds the migration of the data to this request.
    pub(super) fn migrate_database(&mut self) -> Result<(), Failure> {
        if self.existing_database != Some(DatabaseKind::Sqlite) {
            return Err(Failure::preflight(
                "the data of this server is not in an SQLite database; there is nothing to migrate",
            ));
        }
        self.moving = Some(self.sqlite());
        self.deployment.existing_database = None;
        Ok(())
    }

    /// The error for settings that SQLite cannot serve, with the steps of the migration (Synapse's docs/postgres.md).
    fn how_to_migrate(&self) -> Result<Failure, Failure> {
        let file = self.sqlite();
        if host::migration_was_interrupted()? {
            return Ok(Failure::preflight(format!(
                "the migration of {file} to PostgreSQL was interrupted, and newer data may be in that file only"
            ))
            .help("synapse-workers migrate-database continues it"));
        }
        let service = match &self.settings.adopt.service {
            Some(service) => service.as_str(),
            None => units::MAIN,
        };
        let problem = format!(
            "the data of this server is in {file}, an SQLite database, which workers cannot share"
        );
        Ok(Failure::preflight(problem).help(format!(
            "install without workers (workers: []); then `synapse-workers migrate-database` moves the data to \
             PostgreSQL, and workers can be added. It executes the steps of Synapse's documentation:\n    \
             sqlite3 {file} \".backup {file}.snapshot\"\n    \
             synapse_port_db --sqlite-database {file}.snapshot --postgres-config homeserver-postgres.yaml\n    \
             systemctl stop {service}\n    \
             sqlite3 {file} \".backup {file}.snapshot\"\n    \
             synapse_port_db --sqlite-database {file}.snapshot --postgres-config homeserver-postgres.yaml\n  \
             or, if the data is not needed, remove {file}"
        )))
    }

    /// The path of this server's SQLite file.
    pub fn sqlite(&self) -> String {
        self.adopted.sqlite().unwrap_or(paths::SQLITE.to_owned())
    }
}
