//! PostgreSQL: queries with Synapse's access, and the creation of a role and a database on the local server as its
//! superuser.

use super::files;
use super::scram;
use super::tools::Tool;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, SslMode};
use crate::settings::value::Scalar;
use crate::state::accounts;
use crate::state::paths;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

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

/// The address of a server, and the role to connect as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// A host name, or the directory of a Unix socket.
    pub host: String,
    /// The TCP port, which is also part of the name of a Unix socket.
    pub port: u16,
    /// The database to connect to.
    pub database: String,
    /// The role; `None` for the role with the name of the user.
    pub role: Option<String>,
    /// The local user that runs the query; `None` for the user that runs this program.
    pub user: Option<String>,
    /// libpq's password file.
    pub passfile: Option<PathBuf>,
    /// The encryption (`sslmode`); `None` for libpq's default.
    pub sslmode: Option<SslMode>,
    /// The certificate of the authority (`sslrootcert`).
    pub sslrootcert: Option<PathBuf>,
}

impl Postgres {
    /// The connections that roles other than the superuser can open.
    pub fn available(&self) -> u32 {
        self.max_connections.saturating_sub(self.reserved)
    }
}

impl Access {
    /// The local server, as its superuser.
    pub fn superuser(port: u16) -> Self {
        Self {
            host: paths::POSTGRES_SOCKETS.to_owned(),
            port,
            database: "postgres".to_owned(),
            role: None,
            user: Some(accounts::POSTGRES.to_owned()),
            passfile: None,
            sslmode: None,
            sslrootcert: None,
        }
    }

    /// The server of the settings, with Synapse's access; `None` if the database is not PostgreSQL.
    pub fn of_synapse(settings: &Settings, kind: DatabaseKind) -> Option<Self> {
        let database = &settings.database;
        let host = match (kind, &database.host) {
            (DatabaseKind::Local, _) => paths::POSTGRES_SOCKETS.to_owned(),
            (DatabaseKind::External, Some(host)) => host.show(),
            _ => return None,
        };
        Some(Self {
            host,
            port: database.port.number(),
            database: database.name.show(),
            role: Some(database.user.show()),
            user: Some(settings.synapse.user.show()),
            passfile: None,
            sslmode: database.sslmode,
            sslrootcert: database
                .sslrootcert
                .as_ref()
                .map(|path| path.as_path().to_owned()),
        })
    }

    /// Runs one statement, passed through standard input. psql never prompts for a password.
    pub(super) fn psql(&self, statement: &str) -> Result<String> {
        let tool = self.tool("psql")?;
        tool.args(["-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
            .args(["-f", "-"])
            .input(statement)
            .run()
    }

    /// A program of PostgreSQL with the options for this access. It never prompts for a password.
    pub(super) fn tool(&self, program: &str) -> Result<Tool> {
        let port = self.port.to_string();
        let tool = match program {
            "psql" => psql(),
            // Debian's wrapper finds the release of the server, which the format of a dump depends on.
            _ => Tool::new(program),
        };
        let mut tool = tool
            .args(["-w", "-h", &self.host, "-p", &port, "-d", &self.database])
            .env("PGCONNECT_TIMEOUT", "5");
        if let Some(role) = &self.role {
            tool = tool.args(["-U", role]);
        }
        if let Some(mode) = self.sslmode {
            tool = tool.env("PGSSLMODE", mode.show());
        }
        if let Some(file) = &self.sslrootcert {
            tool = tool.env("PGSSLROOTCERT", file);
        }
        if let Some(file) = &self.passfile {
            tool = tool.env("PGPASSFILE", file);
        }
        match (&self.user, &self.passfile) {
            // The password file is in a directory of this program's group, which need not be the user's primary group.
            (Some(user), Some(_)) => tool.process_of(user),
            (Some(user), None) => tool.user(user),
            (None, _) => Ok(tool),
        }
    }
}

/// The directory of Debian and Ubuntu with a directory for each release of PostgreSQL.
const RELEASES: &str = "/usr/lib/postgresql";

/// psql. On Debian and Ubuntu, the program of this name is a Perl script, which takes several times as long as a query.
/// It starts the psql of the newest release (pg_wrapper(1)), so that one is started directly.
fn psql() -> Tool {
    let releases = files::names(RELEASES).into_iter();
    let newest = releases.filter_map(|name| name.parse::<u32>().ok()).max();
    let program = newest.map(|release| format!("{RELEASES}/{release}/bin/psql"));
    match program.filter(|program| files::exists(program)) {
        Some(program) => Tool::new(program).named("psql"),
        None => Tool::new("psql"),
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
pub(super) const QUERY: &str = "select 'server', current_setting('server_version_num'), current_setting('max_connections'), \
                 current_setting('superuser_reserved_connections'), \
                 pg_size_bytes(current_setting('shared_buffers'))::text, '' \
                 union all select 'role', rolname, '', '', '', '' from pg_roles \
                 union all select 'database', datname, pg_get_userbyid(datdba), pg_encoding_to_char(encoding), \
                 datcollate, datctype from pg_database";

/// The properties in the answer to [`QUERY`]. Lines of other statements are skipped.
pub(super) fn parse(text: &str) -> Result<Postgres> {
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

/// A quoted identifier (PostgreSQL manual, 4.1.1).
fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
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

    #[test]
    fn identifiers_are_quoted() {
        assert_eq!(identifier("a\"; drop"), "\"a\"\"; drop\"");
    }
}
