//! Probes of PostgreSQL: whether it answers, and whether it has connections for every process.

use super::Expected;
use crate::host::Host;
use crate::host::postgres::{self, Connections};
use anyhow::{Result, ensure};
use std::time::Instant;

pub(super) fn answers(_: &Host, expected: &Expected, _: Instant) -> Result<String> {
    match &expected.database {
        Some(access) => {
            postgres::reachable(access)?;
            Ok(format!("{} answers", access.database))
        }
        None => Ok("not used".to_owned()),
    }
}

/// Every process may open its whole pool, and a request that finds no free connection fails. So the free connections of
/// PostgreSQL must cover what the pools have not opened yet. This probe says nothing about clients that connect later.
pub(super) fn connections(_: &Host, expected: &Expected, _: Instant) -> Result<String> {
    let Some(access) = &expected.database else {
        return Ok("not used".to_owned());
    };
    let found = postgres::connections(access)?;
    let processes = u32::try_from(expected.processes().len()).unwrap_or(u32::MAX);
    let missing = missing(&found, processes.saturating_mul(expected.pool));
    ensure!(
        missing == 0,
        "the pools of {processes} processes may open {} more connections than PostgreSQL has left: {} of {} are in use, \
         {} of them by Synapse\n    see: sudo -u postgres psql -c 'select usename, datname, count(*) from pg_stat_activity group by 1, 2'\n    \
         help: close connections of other clients, raise max_connections, lower database.cp_max, or remove workers",
        missing,
        found.used,
        found.limit,
        found.ours
    );
    Ok(format!(
        "{} of {} free, {} of {} in the pools open",
        found.limit.saturating_sub(found.used),
        found.limit,
        found.ours,
        processes.saturating_mul(expected.pool)
    ))
}

/// The number of connections that the pools may still open and PostgreSQL lacks.
fn missing(found: &Connections, pools: u32) -> u32 {
    let wanted = pools.saturating_sub(found.ours);
    wanted.saturating_sub(found.limit.saturating_sub(found.used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_connections_are_not_counted_twice() {
        let found = |used, ours| Connections {
            limit: 97,
            used,
            ours,
        };
        assert_eq!(missing(&found(0, 0), 84), 0);
        assert_eq!(missing(&found(50, 40), 84), 0);
        // There is exactly room for these 13 connections of other clients.
        assert_eq!(missing(&found(34, 21), 84), 0);
        assert_eq!(missing(&found(35, 21), 84), 1);
        // Connections may exceed the pools while an old process is still stopping.
        assert_eq!(missing(&found(97, 90), 84), 0);
        assert_eq!(missing(&found(99, 0), 84), 84);
    }
}
