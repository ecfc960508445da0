//! The database of Synapse: its dump, its way back, and the counts that show whether a restored one is complete. All
//! programs run as the account of the database, because the dump contains what that account wrote.

use super::repository::Repository;
use crate::deployment::Deployment;
use crate::failure::Failure;
use crate::host::files;
use crate::host::postgres::{self, Access};
use crate::host::tools::Tool;
use crate::settings::types::DatabaseKind;
use crate::settings::value::Scalar;
use crate::state::paths;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::time::Duration;

const SQLITE: &str = include_str!("sqlite.py");
/// The timeout of a dump or a restore. Large databases take hours.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// The database into which a check restores.
const SCRATCH: &str = "synapse_backup_check";
/// Keys that a client may use only once: with an old copy, a key could be used twice.
const ONE_TIME_KEYS: &str = "--exclude-table-data=e2e_one_time_keys_json";
const COUNTS: &str = "select (select count(*) from users), (select count(*) from rooms), \
                      (select coalesce(max(stream_ordering), 0) from events)";

/// Accounts in which a person can log in: neither guests, nor deactivated ones, nor those of bridges and bots
/// (storage/databases/main/registration.py).
const PEOPLE: &str = "select count(*) from (select 1 from users where is_guest = 0 and deactivated = 0 and \
                      appservice_id is null limit 1) person";

/// The database of a deployment.
pub enum Source {
    /// A database of PostgreSQL.
    Postgres {
        /// The access of Synapse.
        access: Access,
        /// Whether it is on this host, where a check can create another database.
        local: bool,
    },
    /// A file of SQLite.
    Sqlite {
        /// The path of the file.
        path: String,
        /// Synapse's user.
        user: String,
    },
}

/// Numbers that only grow, so a dump has at least those from before it, and at most those from after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Accounts, including deactivated ones.
    pub users: u64,
    /// Rooms.
    pub rooms: u64,
    /// The position of the newest event (`stream_ordering`).
    pub events: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            users,
            rooms,
            events,
        } = self;
        write!(f, "users {users}, rooms {rooms}, newest event {events}")
    }
}

impl Counts {
    /// Whether these are between those from before and after a dump.
    pub fn are_between(&self, before: &Self, after: &Self) -> bool {
        let between = |of: fn(&Self) -> u64| (of(before)..=of(after)).contains(&of(self));
        between(|it| it.users) && between(|it| it.rooms) && between(|it| it.events)
    }

    fn parse(text: &str) -> Result<Self> {
        let numbers: Result<Vec<u64>, _> = text.trim().split('\t').map(str::parse).collect();
        match numbers.as_deref() {
            Ok(&[users, rooms, events]) => Ok(Self {
                users,
                rooms,
                events,
            }),
            _ => bail!("the database answers {text:?}"),
        }
    }
}

impl Source {
    /// The database of a deployment.
    pub fn of(deployment: &Deployment) -> Result<Self> {
        let settings = &deployment.settings;
        let kind = deployment.database();
        if kind == DatabaseKind::Sqlite {
            return Ok(Self::Sqlite {
                path: deployment
                    .adopted
                    .sqlite()
                    .unwrap_or_else(|| paths::SQLITE.to_owned()),
                user: settings.synapse.user.show(),
            });
        }
        let access = Access::of_synapse(settings, kind).context("the settings name no database")?;
        let passfile = paths::secret("pgpass");
        Ok(Self::Postgres {
            access: Access {
                passfile: files::exists(&passfile).then(|| passfile.into()),
                ..access
            },
            local: kind == DatabaseKind::Local,
        })
    }

    /// The kind of database, for the manifest.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "postgresql",
            Self::Sqlite { .. } => "sqlite",
        }
    }

    /// The name of the dump in its snapshot.
    pub fn file(&self) -> &'static str {
        match self {
            Self::Postgres { .. } => "/synapse.dump",
            Self::Sqlite { .. } => "/homeserver.db",
        }
    }

    /// The program that prints a dump. restic compresses it and finds the parts that it has already.
    pub fn dump(&self) -> Result<Tool> {
        Ok(match self {
            Self::Postgres { access, .. } => limited(access.tool("pg_dump")?).args([
                "--format=custom",
                "--compress=0",
                ONE_TIME_KEYS,
            ]),
            Self::Sqlite { path, user } => sqlite(user, &["dump", path])?,
        })
    }

    /// Counts in the database as it is now.
    pub fn counts(&self) -> Result<Counts> {
        let text = match self {
            Self::Postgres { access, .. } => access.psql(COUNTS)?,
            Self::Sqlite { path, user } => sqlite(user, &["count", path])?.run()?,
        };
        Counts::parse(&text)
    }

    /// Whether it contains an account in which a person can log in.
    pub fn has_person(&self) -> Result<bool> {
        let text = match self {
            Self::Postgres { access, .. } => access.psql(PEOPLE)?,
            Self::Sqlite { path, user } => sqlite(user, &["ask", path, PEOPLE])?.run()?,
        };
        Ok(text.trim() == "1")
    }

    /// Whether it already contains the data of a Synapse.
    pub fn is_used(&self) -> Result<bool> {
        match self {
            Self::Postgres { access, .. } => {
                let answer = access.psql("select to_regclass('schema_version') is not null")?;
                Ok(answer.trim() == "t")
            }
            Self::Sqlite { path, .. } => Ok(files::exists(path)),
        }
    }

    /// Loads the dump of a snapshot into the empty database, completely or not at all.
    pub fn load(&self, repository: &Repository, snapshot: &str) -> Result<(), Failure> {
        let reader = match self {
            Self::Postgres { access, .. } => restore(access)?,
            Self::Sqlite { path, user } => sqlite(user, &["load", path])?,
        };
        repository.stream(snapshot, self.file(), reader).map(drop)
    }

    /// Restores the dump of a snapshot beside the database in use, and counts in it. The result is `None` for a
    /// PostgreSQL on another host: the dump is read completely, but there may be no right to create a database.
    pub fn test(&self, repository: &Repository, snapshot: &str) -> Result<Option<Counts>, Failure> {
        let file = self.file();
        match self {
            Self::Sqlite { user, .. } => {
                let text = repository.stream(snapshot, file, sqlite(user, &["test"])?)?;
                Ok(Some(Counts::parse(&text)?))
            }
            Self::Postgres {
                access,
                local: false,
            } => {
                let user = access.user.clone().context("Synapse has no user")?;
                let reader = limited(Tool::new("pg_restore").process_of(&user)?);
                repository.stream(snapshot, file, reader.args(["--file=/dev/null"]))?;
                Ok(None)
            }
            Self::Postgres {
                access,
                local: true,
            } => {
                let superuser = Access::superuser(access.port);
                let owner = access.role.as_deref().unwrap_or(paths::GROUP);
                // An interrupted check may have left one.
                postgres::drop_database(&superuser, SCRATCH)?;
                postgres::create_database(&superuser, SCRATCH, owner)?;
                let scratch = Access {
                    database: SCRATCH.to_owned(),
                    ..access.clone()
                };
                let tested = restore(&scratch)
                    .map_err(Failure::from)
                    .and_then(|reader| repository.stream(snapshot, file, reader))
                    .and_then(|_| Ok(Counts::parse(&scratch.psql(COUNTS)?)?));
                let dropped = postgres::drop_database(&superuser, SCRATCH);
                let counts = tested?;
                dropped?;
                Ok(Some(counts))
            }
        }
    }
}

/// pg_restore into this database, in one transaction. Objects belong to the role that restores them, whatever its name was.
fn restore(access: &Access) -> Result<Tool> {
    Ok(limited(access.tool("pg_restore")?).args([
        "--single-transaction",
        "--no-owner",
        "--no-privileges",
    ]))
}

fn sqlite(user: &str, arguments: &[&str]) -> Result<Tool> {
    let python = limited(Tool::new("python3")).args(["-I", "-c", SQLITE]);
    python.args(arguments).process_of(user)
}

fn limited(tool: Tool) -> Tool {
    tool.within(LIMIT).interruptible()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_compared_one_by_one() {
        let counts = |text| Counts::parse(text).unwrap();
        let (before, after) = (counts("1\t2\t30\n"), counts("2\t2\t40\n"));
        assert!(counts("1\t2\t35").are_between(&before, &after));
        assert!(!counts("0\t2\t35").are_between(&before, &after));
        assert!(!counts("1\t2\t41").are_between(&before, &after));
        assert!(Counts::parse("").is_err());
    }
}
