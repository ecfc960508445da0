//! Checks of PostgreSQL, local or external.

use super::check::{Examined, Finding, finding, finding_if};
use crate::deployment::secrets;
use crate::settings::types::DatabaseKind;

/// libpq and the server report the reason in the language of the server; an unknown message gets every remedy. There is
/// no better criterion: psql has no SQLSTATE for a connection that fails, whatever its VERBOSITY (seen with psql 17).
fn unreachable_database(at: &Examined, error: &str) -> Option<Finding> {
    let database = &at.scope.settings.database;
    let (host, port) = (database.host.as_ref()?.as_str(), database.port.get());
    let (name, user) = (database.name.as_str(), database.user.as_str());
    let make = format!(
        "sudo -u postgres createdb --encoding=UTF8 --locale=C --template=template0 --owner={user} {name}"
    );
    let missing = |what: &str| error.contains(&format!("{what} \"")) && error.contains("exist");
    let password = secrets::secret("postgres_password")?.how_to_provide;
    let cure = if missing("database") {
        format!("on the database's host: {make}")
    } else if missing("role") || error.contains("password") {
        format!(
            "{password}; if the role is missing, on the database's host: \
             sudo -u postgres createuser --pwprompt {user} && {make}"
        )
    } else {
        format!(
            "check database.host and database.port, and that PostgreSQL listens there and accepts this host \
             (listen_addresses, pg_hba.conf); {password}"
        )
    };
    finding(
        format!(
            "database.host: PostgreSQL at {host} port {port} rejects Synapse's connection: {error}"
        ),
        cure,
    )
}

/// Synapse refuses to start with an older PostgreSQL.
const MINIMUM: u32 = 14;

pub(super) fn version(at: &Examined) -> Option<Finding> {
    let version = at.facts.answering_postgres()?.version / 10_000;
    finding_if(
        version < MINIMUM,
        format!("PostgreSQL {version} is older than {MINIMUM}"),
        "upgrade PostgreSQL; Synapse does not start with an older one",
    )
}

/// Each process may open `cp_max` connections, and a request that finds no free one fails.
pub(super) fn connections(at: &Examined) -> Option<Finding> {
    let postgres = at.facts.answering_postgres()?;
    let pool = at.scope.sizes(&at.facts.size()).cp_max;
    // Those of all hosts use the same PostgreSQL.
    let processes = at.processes.max(at.scope.topology.workers.len() + 1);
    let processes = u32::try_from(processes).unwrap_or(u32::MAX);
    let needed = processes.saturating_mul(pool);
    let available = postgres.available();
    if needed <= available {
        return None;
    }
    let wanted = needed + postgres.reserved + 10;
    let pool_place = match at.scope.settings.adopt.config.first() {
        Some(file) => format!("cp_max in {}", file.as_str()),
        None => "database.cp_max".to_owned(),
    };
    let place = match at.scope.database() {
        DatabaseKind::External => "on the database's host: ",
        _ => "",
    };
    finding(
        format!(
            "{processes} processes with database.cp_max {pool} need {needed} connections, and PostgreSQL allows {available}"
        ),
        format!(
            "{place}sudo -u postgres psql -c 'alter system set max_connections = {wanted}' && systemctl restart postgresql, \
             or fewer workers, or a smaller {pool_place}"
        ),
    )
}

/// storage/engines/postgres.py rejects other databases when Synapse starts.
pub(super) fn fit(at: &Examined) -> Option<Finding> {
    let postgres = at.facts.answering_postgres()?;
    if !at.scope.settings.adopt.config.is_empty() {
        // An adopted database was created by another program, and Synapse has run with it so far.
        return None;
    }
    let name = at.scope.settings.database.name.to_string();
    let found = postgres
        .databases
        .iter()
        .find(|database| database.name == name)?;
    if at.facts.database_used && !at.scope.database_is_ours {
        return finding(
            format!("database {name} contains a Synapse that synapse-workers did not create"),
            "set another database.name; two servers in one database would destroy both",
        );
    }
    let user = at.scope.settings.database.user.to_string();
    // An external PostgreSQL may grant the rights without ownership.
    if found.owner != user && at.scope.database() == DatabaseKind::Local {
        return finding(
            format!("database {name} belongs to {}, not to {user}", found.owner),
            format!(
                "sudo -u postgres psql -c 'alter database \"{name}\" owner to \"{user}\"', or set another database.name"
            ),
        );
    }
    if found.encoding == "UTF8" && found.collation == "C" && found.character_type == "C" {
        return None;
    }
    finding(
        format!(
            "database {name} has encoding {}, collation {}, character type {}; Synapse requires UTF8, C, C",
            found.encoding, found.collation, found.character_type
        ),
        "set another database.name, or move its contents into one created with --encoding=UTF8 --locale=C",
    )
}

pub(super) fn answers(at: &Examined) -> Option<Finding> {
    match at.facts.postgres.as_ref()? {
        // The check of missing programs reports these.
        Err(_)
            if ["postgresql", "psql"]
                .iter()
                .any(|name| at.facts.missing.contains(name)) =>
        {
            None
        }
        // The files of an adopted server may contain more options than host, role and password.
        Err(_) if !at.scope.settings.adopt.config.is_empty() => None,
        Err(error) if at.scope.database() == DatabaseKind::External => {
            unreachable_database(at, error)
        }
        Err(error) => finding(
            format!("the host's PostgreSQL does not answer: {error}"),
            "systemctl start postgresql (on Fedora first: postgresql-setup --initdb)",
        ),
        Ok(_) => None,
    }
}
