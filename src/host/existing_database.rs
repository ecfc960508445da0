//! The database that already contains the data of this server.

use super::observe::created;
use super::{files, migrate};
use crate::settings::types::DatabaseKind;
use crate::state::Resource;
use crate::state::paths;
use crate::state::synapse_config::{self, Engine};
use anyhow::Result;

/// Whether this program created a database on this host.
pub fn created_database() -> Result<bool> {
    let database = |created: &Resource| matches!(created, Resource::Database { .. });
    Ok(created()?.iter().any(database))
}

/// Whether a migration to PostgreSQL is incomplete: root's marker file is removed when all rows are known to be copied.
///
/// # Errors
/// When the configuration in use cannot be read.
pub fn migration_was_interrupted() -> Result<bool> {
    Ok(migrate::is_unfinished() || earlier_release_was_interrupted()?)
}

/// Whether an earlier release, which had no marker file, was interrupted during a migration. It had a directory in
/// Synapse's data, which Synapse's account can create at any time. So the directory counts only if root's own records
/// say that a change from SQLite to PostgreSQL was not completely applied, and nothing in it is read.
fn earlier_release_was_interrupted() -> Result<bool> {
    let changed = engine(paths::APPLIED)? == Some(Engine::Sqlite)
        && engine(paths::CURRENT)? == Some(Engine::Postgres);
    Ok(changed && files::exists(paths::OLD_MIGRATION))
}

/// The database engine of the generation that a link points to; `None` if there is no generation. The manifest is not
/// needed: if it is damaged, the data is still in the database that the configuration names.
fn engine(link: &str) -> Result<Option<Engine>> {
    let places = synapse_config::of_database(&format!("{link}/synapse"));
    for path in places.iter().flat_map(|place| files_in(place)).rev() {
        let contents = match files::read(path) {
            // Only root and Synapse may read the copies of adopted files.
            Err(_) if !super::is_root() => return Ok(None),
            contents => contents?.unwrap_or_default(),
        };
        if let Some(database) = synapse_config::database(&contents) {
            return Ok(synapse_config::engine(&database));
        }
    }
    Ok(None)
}

/// The files that Synapse reads for a file or directory of its configuration.
fn files_in(path: &str) -> Vec<String> {
    if !files::is_directory(path) {
        return vec![path.to_owned()];
    }
    let names = files::names(path).into_iter();
    let names = names.filter(|name| name.ends_with(".yaml"));
    names.map(|name| format!("{path}/{name}")).collect()
}

/// The database that already contains this server's data, if that is known. It is the SQLite file (this program's, or
/// an `adopted` one) if the generation in use uses it or a migration to PostgreSQL is incomplete; else a database that
/// this program created; else, if no generation is in use, an existing SQLite file. The file remains after a migration.
pub fn existing_database(adopted: bool) -> Result<Option<DatabaseKind>> {
    let file = adopted || files::exists(paths::SQLITE);
    let in_use = engine(paths::CURRENT)?;
    if file && (in_use == Some(Engine::Sqlite) || migration_was_interrupted()?) {
        return Ok(Some(DatabaseKind::Sqlite));
    }
    Ok(match (created_database()?, file && in_use.is_none()) {
        (true, _) => Some(DatabaseKind::Local),
        (false, true) => Some(DatabaseKind::Sqlite),
        (false, false) => None,
    })
}
