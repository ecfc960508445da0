//! Queries: the properties of a server, and whether and how a database is used.

use super::access::Access;
use anyhow::{Context, Result, bail, ensure};

/// The properties of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// The version as a number: 140005 for 14.5.
    pub version: u32,
    /// The maximum number of concurrent connections, including the reserved ones (`max_connections`).
    pub max_connections: u32,
    /// Connections that PostgreSQL reserves for its superuser.
    pub reserved: u32,
    /// The memory for its cache of tables and indices, in bytes (`shared_buffers`).
    pub shared_buffers: u64,
    /// The names of all roles, with or without the right to log in (`pg_roles`).
    pub roles: Vec<String>,
    /// All databases of the server, including templates (`pg_database`).
    pub databases: Vec<Database>,
}

/// A database, with the properties that Synapse checks (storage/engines/postgres.py).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name (`datname`).
    pub name: String,
    /// The name of the role that owns it (`datdba`).
    pub owner: String,
    /// The character encoding, such as `UTF8`, the only one that Synapse accepts.
    pub encoding: String,
    /// The collation (`datcollate`), which must be `C` unless `allow_unsafe_locale` is set.
    pub collation: String,
    /// The character classification (`datctype`), with the same condition.
    pub character_type: String,
}

impl Postgres {
    /// The connections that roles other than the superuser can open.
    pub fn available(&self) -> u32 {
        self.max_connections.saturating_sub(self.reserved)
    }
}

/// Queries the properties of the server.
///
/// # Errors
/// When no server answers, or the server rejects the role.
pub fn ask(access: &Access) -> Result<Postgres> {
    parse(&access.psql(QUERY)?)
}

/// The statement for the properties of a server.
pub(in crate::host) const QUERY: &str = "select 'server', current_setting('server_version_num'), \
                 current_setting('max_connections'), current_setting('superuser_reserved_connections'), \
                 pg_size_bytes(current_setting('shared_buffers'))::text, '' \
                 union all select 'role', rolname, '', '', '', '' from pg_roles \
                 union all select 'database', datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), \
                 datcollate, datctype from pg_database";

/// The properties in the answer to [`QUERY`]. Lines of other statements are skipped.
pub(in crate::host) fn parse(text: &str) -> Result<Postgres> {
    let mut server = None;
    let (mut roles, mut databases) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["server", version, connections, reserved, buffers, ..] => {
                server = Some((
                    version.parse()?,
                    connections.parse()?,
                    reserved.parse()?,
                    buffers.parse()?,
                ));
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
    let (version, max_connections, reserved, shared_buffers) =
        server.context("cannot parse the answer of PostgreSQL")?;
    Ok(Postgres {
        version,
        max_connections,
        reserved,
        shared_buffers,
        roles,
        databases,
    })
}

/// Checks that a database answers a query.
///
/// # Errors
/// When the server does not answer, or refuses the role or the database.
pub fn reachable(access: &Access) -> Result<()> {
    let answer = access.psql("select 1")?;
    ensure!(
        answer.trim() == "1",
        "database {} answers {answer:?}",
        access.database
    );
    Ok(())
}

/// Connections to a server: the limit for roles other than the superuser, the number in use, and the number in use by
/// the querying role on its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// The number of connections that roles other than the superuser can open.
    pub limit: u32,
    /// The number of open connections of clients to any database of the server.
    pub used: u32,
    /// The part of these that the querying role has open to its own database.
    pub ours: u32,
}

/// Counts connections, except the querying one. Every role can see the owner of a connection, but not its purpose.
/// Processes of the server itself have no database or no role (PostgreSQL manual, 27.2.3).
///
/// # Errors
/// As for [`reachable`].
pub fn connections(access: &Access) -> Result<Connections> {
    let query = "select current_setting('max_connections')::int \
                 - current_setting('superuser_reserved_connections')::int \
                 - coalesce(current_setting('reserved_connections', true), '0')::int, \
                 count(*), count(*) filter (where datname = current_database() and usename = current_user) \
                 from pg_stat_activity where datid is not null and usesysid is not null and pid <> pg_backend_pid() \
                 and coalesce(backend_type, 'client backend') = 'client backend'";
    let answer = access.psql(query)?;
    let numbers: Result<Vec<u32>, _> = answer.trim().split('\t').map(str::parse).collect();
    match numbers.as_deref() {
        Ok(&[limit, used, ours]) => Ok(Connections { limit, used, ours }),
        _ => bail!("PostgreSQL answers {answer:?}"),
    }
}

/// Whether a database contains a Synapse already.
///
/// # Errors
/// As for [`reachable`].
pub fn is_used(superuser: &Access, database: &str) -> Result<bool> {
    let inside = Access {
        database: database.to_owned(),
        ..superuser.clone()
    };
    Ok(inside
        .psql("select to_regclass('schema_version') is not null")?
        .trim()
        == "t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_of_the_server_is_read() {
        let answer = "server\t170004\t100\t3\t134217728\t\nrole\tpostgres\t\t\t\t\n\
                      database\tsynapse\tsynapse\tUTF8\tC\tC\n";
        let postgres = parse(answer).unwrap();
        assert_eq!((postgres.max_connections, postgres.reserved), (100, 3));
        assert_eq!(postgres.shared_buffers, 128 << 20);
        assert_eq!(postgres.roles, ["postgres"]);
        assert_eq!(postgres.databases[0].collation, "C");
        assert!(parse("").is_err());
    }
}
