//! A probe that every route reaches a process that serves it.

use super::{Expected, mas};
use crate::host::{self, Host, Peer};
use crate::parallel;
use crate::topology::{Route, RoutingTable};
use anyhow::{Result, bail, ensure};
use std::collections::BTreeMap;
use std::time::Instant;

/// A process with the servlet demands a token or an argument; a process without it answers 404 `M_UNRECOGNIZED`.
/// Processes are probed in parallel, the routes of one process in sequence.
pub(super) fn routes(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let (Some((_, endpoints)), Some(table)) = (&expected.topology, &expected.routes) else {
        return Ok("not used".to_owned());
    };
    let mut questions = questions(table)?;
    if mas::is_silent(expected, end) {
        for (_, routes) in &mut questions {
            routes.retain(|route| !mas::ASK.contains(&route.probe().1));
        }
    }
    let answers = parallel::map(&questions, |(server, routes)| {
        let peer = Peer::At(endpoints.public(server));
        probe(server, &peer, routes, expected, end)
    });
    let failures: Vec<String> = answers.into_iter().flatten().collect();
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    let count: usize = questions.iter().map(|(_, routes)| routes.len()).sum();
    Ok(format!("{count} answered by the right process"))
}

/// The routes that each process serves.
fn questions(table: &RoutingTable) -> Result<Vec<(&str, Vec<&Route>)>> {
    let mut questions: BTreeMap<&str, Vec<&Route>> = BTreeMap::new();
    for route in table.routes.iter().filter(|route| route.needs.is_none()) {
        let mut upstreams = table.upstreams.iter();
        let Some(upstream) = upstreams.find(|upstream| upstream.name == route.upstream) else {
            bail!("route {} names no upstream", route.pattern);
        };
        // A service outside Synapse has a probe of its own.
        let processes = upstream.servers.iter().filter(|_| upstream.is_synapse());
        for server in processes {
            questions.entry(server).or_default().push(route);
        }
    }
    Ok(questions.into_iter().collect())
}

/// Sends the sample request of each route to a process and returns the failures. After a request without an answer the
/// others are skipped, because each of them would wait for the timeout.
fn probe(
    server: &str,
    peer: &Peer,
    routes: &[&Route],
    expected: &Expected,
    end: Instant,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut repetitions = expected.pool.max(1);
    for route in routes {
        // For the name of another server, Synapse would send a request to that server.
        let (method, path) = route.probe();
        let path = &path.replace("example.com", &expected.server_name);
        match host::get_repeated(peer, method, path, &mut repetitions, end) {
            Ok(answer) if answer.has_servlet() => {}
            Ok(answer) => failures.push(format!(
                "{server} answers {} to {}",
                answer.status, route.example
            )),
            Err(error) => {
                failures.push(format!("{server} to {}: {error:#}", route.example));
                break;
            }
        }
    }
    failures
}
