//! Access to a server: its address, the role to connect as, and the programs with the options for them.

use crate::host::files;
use crate::host::tools::Tool;
use crate::settings::Settings;
use crate::settings::types::{DatabaseKind, SslMode};
use crate::settings::value::Scalar;
use crate::state::accounts;
use crate::state::paths;
use anyhow::Result;
use std::path::PathBuf;

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
    pub(in crate::host) fn psql(&self, statement: &str) -> Result<String> {
        let tool = self.tool("psql")?;
        tool.args(["-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1"])
            .args(["-f", "-"])
            .input(statement)
            .run()
    }

    /// A program of PostgreSQL with the options for this access. It never prompts for a password.
    pub(in crate::host) fn tool(&self, program: &str) -> Result<Tool> {
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
