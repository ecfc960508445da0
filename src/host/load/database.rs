//! The counters of PostgreSQL: its cache, its connections, and what statements wait for (manual, 27.2).

use super::super::postgres::Access;
use super::kernel;
use crate::advice::reading::Postgres;
use anyhow::{Context, Result};

/// Connections, the cache, the counters of Synapse's database, and every process of the server. Only the superuser, a
/// member of pg_monitor, and the role of a connection see its state.
const QUERY: &str = "select 'server', (current_setting('max_connections')::int \
     - current_setting('superuser_reserved_connections')::int \
     - coalesce(current_setting('reserved_connections', true), '0')::int)::text, \
     (select count(*) from pg_stat_activity where backend_type = 'client backend')::text, \
     pg_size_bytes(current_setting('shared_buffers'))::text \
     union all select 'database', blks_hit::text, blks_read::text, xact_commit::text \
     from pg_stat_database where datname = current_database() \
     union all select 'process', pid::text, \
     case when backend_type = 'client backend' then coalesce(state, '') else '' end, coalesce(wait_event_type, 'CPU') \
     from pg_stat_activity where pid <> pg_backend_pid()";

/// Reads the counters. `here` says whether the processes of the server run on this host.
///
/// # Errors
/// When the server does not answer, or refuses the role.
pub(super) fn read(access: &Access, here: bool) -> Result<Postgres> {
    let mut found = parse(&access.psql(QUERY)?)?;
    match here {
        true => {
            let processes = found.cpu.iter_mut();
            processes.for_each(|(pid, spent)| *spent = kernel::cpu(*pid).unwrap_or(0.0));
        }
        false => found.cpu.clear(),
    }
    Ok(found)
}

fn parse(text: &str) -> Result<Postgres> {
    let mut found = Postgres::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["server", limit, used, buffers] => {
                found.limit = limit.parse()?;
                found.used = used.parse()?;
                found.buffers = buffers.parse()?;
            }
            ["database", hits, reads, commits] => {
                found.hits = hits.parse()?;
                found.reads = reads.parse()?;
                found.commits = commits.parse()?;
            }
            ["process", pid, state, wait] => {
                found.cpu.insert(pid.parse()?, 0.0);
                if state == "active" {
                    *found.active.entry(wait.to_owned()).or_default() += 1;
                }
            }
            _ => {}
        }
    }
    (found.limit > 0)
        .then_some(found)
        .context("cannot parse the answer of PostgreSQL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_server_are_read() {
        let answer = "server\t97\t12\t134217728\ndatabase\t900\t100\t50\nprocess\t7\tactive\tIO\n\
            process\t8\tidle\tClient\nprocess\t9\t\tActivity\n";
        let found = parse(answer).unwrap();
        assert_eq!((found.limit, found.used), (97, 12));
        assert_eq!((found.hits, found.reads), (900.0, 100.0));
        assert_eq!(found.active, [("IO".to_owned(), 1)].into());
        assert_eq!(found.cpu.len(), 3);
        assert!(parse("").is_err());
    }
}
