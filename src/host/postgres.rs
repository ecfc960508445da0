//! The host's own PostgreSQL: what it has, and making a role and a database in it. Asked as its own superuser.

use super::tools::Tool;
use anyhow::{Context, Result, ensure};

/// The operating system's and PostgreSQL's own administrator, on Debian and Fedora alike.
const SUPERUSER: &str = "postgres";

/// What the server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// 140005 for 14.5.
    pub version: u32,
    pub max_connections: u32,
    /// Connections that PostgreSQL keeps for its superuser.
    pub reserved: u32,
    pub roles: Vec<String>,
    pub databases: Vec<Database>,
}

/// A database with what Synapse checks of it (storage/engines/postgres.py).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    pub name: String,
    pub owner: String,
    pub encoding: String,
    pub collation: String,
    pub character_type: String,
}

/// Asks the server, in one go.
///
/// # Errors
/// When there is no server that answers on the host's socket.
pub fn ask() -> Result<Postgres> {
    let query = "select 'server', current_setting('server_version_num'), current_setting('max_connections'), \
                 current_setting('superuser_reserved_connections'), '', '' \
                 union all select 'role', rolname, '', '', '', '' from pg_roles \
                 union all select 'database', datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), \
                 datcollate, datctype from pg_database";
    parse(&psql(query)?)
}

fn parse(text: &str) -> Result<Postgres> {
    let mut server = None;
    let (mut roles, mut databases) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["server", version, connections, reserved, ..] => {
                server = Some((version.parse()?, connections.parse()?, reserved.parse()?));
            }
            ["role", name, ..] => roles.push(name.to_owned()),
            ["database", name, owner, encoding, collation, character_type] => {
                databases.push(Database {
                    name: name.to_owned(),
                    owner: owner.to_owned(),
                    encoding: encoding.to_owned(),
                    collation: collation.to_owned(),
                    character_type: character_type.to_owned(),
                });
            }
            _ => {}
        }
    }
    let (version, max_connections, reserved) =
        server.context("PostgreSQL gave no answer that can be read")?;
    Ok(Postgres {
        version,
        max_connections,
        reserved,
        roles,
        databases,
    })
}

/// A role that may log in and nothing more.
pub fn create_role(name: &str) -> Result<()> {
    psql(&format!("create role {} login", identifier(name)))
        .map(drop)
        .with_context(|| format!("creating the role {name}"))
}

/// A database as Synapse asks for: UTF-8, locale C, so that upgrades of the C library do not reorder indices.
pub fn create_database(name: &str, owner: &str) -> Result<()> {
    let (database, owner) = (identifier(name), identifier(owner));
    psql(&format!(
        "create database {database} owner {owner} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0"
    ))
    .map(drop)
    .with_context(|| format!("creating the database {name}"))
}

pub fn drop_role(name: &str) -> Result<()> {
    psql(&format!("drop role if exists {}", identifier(name))).map(drop)
}

pub fn drop_database(name: &str) -> Result<()> {
    psql(&format!("drop database if exists {}", identifier(name))).map(drop)
}

/// Whether a user of this host reaches a database without a password.
pub fn reachable(database: &str, user: &str) -> Result<()> {
    let answer = Tool::new("psql")
        .args([
            "-XAtqw",
            "-h",
            crate::paths::POSTGRES_SOCKETS,
            "-d",
            database,
        ])
        .args(["-U", user, "-c", "select 1"])
        .directory("/")
        .user(user)?
        .run()?;
    ensure!(
        answer.trim() == "1",
        "database {database} answers {answer:?}"
    );
    Ok(())
}

/// Whether a database holds a Synapse already.
pub fn is_used(database: &str) -> Result<bool> {
    Ok(psql_in(database, "select to_regclass('schema_version') is not null")?.trim() == "t")
}

/// Runs one statement as the superuser; it goes through standard input.
fn psql(statement: &str) -> Result<String> {
    psql_in("postgres", statement)
}

fn psql_in(database: &str, statement: &str) -> Result<String> {
    Tool::new("psql")
        .args(["-XAtqw", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
        .args([
            "-h",
            crate::paths::POSTGRES_SOCKETS,
            "-d",
            database,
            "-f",
            "-",
        ])
        .input(statement)
        .directory("/")
        .user(SUPERUSER)?
        .run()
}

/// A quoted identifier (PostgreSQL manual, 4.1.1).
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_the_server_is_read() {
        let answer = "server\t170004\t100\t3\t\t\nrole\tpostgres\t\t\t\t\n\
                      database\tsynapse\tsynapse\tUTF8\tC\tC\n";
        let postgres = parse(answer).unwrap();
        assert_eq!((postgres.max_connections, postgres.reserved), (100, 3));
        assert_eq!(postgres.roles, ["postgres"]);
        assert_eq!(postgres.databases[0].collation, "C");
        assert!(parse("").is_err());
    }

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
    }
}
