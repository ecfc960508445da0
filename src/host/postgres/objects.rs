//! Roles and databases, which the superuser creates and removes.

use super::access::Access;
use crate::host::files;
use crate::host::scram;
use anyhow::{Context, Result};

/// Creates a role that may log in and has no other privileges.
///
/// # Errors
/// When the server does not answer, or when the role exists.
pub fn create_role(superuser: &Access, name: &str) -> Result<()> {
    superuser
        .psql(&format!("create role {} login", identifier(name)))
        .map(drop)
        .with_context(|| format!("creating the role {name}"))
}

/// Creates a role that may log in and read statistics (PostgreSQL manual, 21.5, `pg_monitor`).
///
/// # Errors
/// When the server does not answer, or when the role exists.
pub fn create_monitor(superuser: &Access, name: &str) -> Result<()> {
    let name = identifier(name);
    superuser
        .psql(&format!("create role {name} login in role pg_monitor"))
        .map(drop)
        .with_context(|| format!("creating the role {name}"))
}

/// Gives a role a password, or takes it away. The server gets the form that it stores.
///
/// # Errors
/// When the server does not answer, or when there is no such role.
pub fn set_password(superuser: &Access, role: &str, password: Option<&str>) -> Result<()> {
    let value = match password {
        // It contains no quote: base64 and digits.
        Some(password) => format!("'{}'", scram::stored(password, &files::random::<16>()?)?),
        None => "null".to_owned(),
    };
    superuser
        .psql(&format!("alter role {} password {value}", identifier(role)))
        .map(drop)
        .with_context(|| format!("setting the password of the role {role}"))
}

/// Whether a role has this password.
///
/// # Errors
/// When the server does not answer.
pub fn has_password(superuser: &Access, role: &str, password: &str) -> Result<bool> {
    let stored = superuser.psql(&format!(
        "select rolpassword from pg_authid where rolname = '{}'",
        role.replace('\'', "''")
    ))?;
    Ok(scram::is_of(stored.trim(), password))
}

/// Creates a database as Synapse requires it: UTF-8 and locale C, so that upgrades of the C library do not reorder
/// indices.
///
/// # Errors
/// When the server does not answer, when the database exists, or when there is no such role.
pub fn create_database(superuser: &Access, name: &str, owner: &str) -> Result<()> {
    let (database, owner) = (identifier(name), identifier(owner));
    superuser
        .psql(&format!(
            "create database {database} owner {owner} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0"
        ))
        .map(drop)
        .with_context(|| format!("creating the database {name}"))
}

/// Removes a role if it exists.
///
/// # Errors
/// When the server does not answer, or when the role still owns a database or other objects.
pub fn drop_role(superuser: &Access, name: &str) -> Result<()> {
    let statement = format!("drop role if exists {}", identifier(name));
    superuser.psql(&statement).map(drop)
}

/// Removes a database with all its data if it exists.
///
/// # Errors
/// When the server does not answer, or when the database is in use.
pub fn drop_database(superuser: &Access, name: &str) -> Result<()> {
    let statement = format!("drop database if exists {}", identifier(name));
    superuser.psql(&statement).map(drop)
}

/// A quoted identifier (PostgreSQL manual, 4.1.1).
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
    }
}
