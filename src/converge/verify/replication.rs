//! Whether processes hear each other.

use super::Expected;
use crate::host::Host;
use crate::state::units;
use crate::topology::Topology;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// Every process listens to the channel that carries replication.
pub(super) fn subscribers(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some(server) = &expected.redis else {
        return Ok("not used".to_owned());
    };
    let question = ["PUBSUB", "NUMSUB", &expected.server_name];
    let counts = server.ask(&question, end)?;
    let listening: usize = counts
        .get(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let processes = expected.processes().len();
    ensure!(
        listening >= processes,
        "{listening} of {processes} processes listen to replication"
    );
    Ok(format!("{listening} processes listen"))
}

/// BoundPort of a round through all processes: each answers in milliseconds unless it is busy.
const BOUND: Duration = Duration::from_secs(2);

/// What a process says when it starts to listen, so that others tell it where they are
/// (replication/tcp/redis.py, `_send_subscribe`).
const QUESTION: &str = "REPLICATE ";

/// Asks on the channel as a process does that has just started, and listens there as the others do. On `REPLICATE` every
/// process tells its position in each stream that it writes (replication/tcp/handler.py, `on_REPLICATE`), and every
/// process writes `caches`; so one answer of each is due, and one more for each stream that a worker is the writer of.
///
/// It proves that what is published on the channel is taken in by every process, that its loop which sends changes runs,
/// and that what it sends comes out at whoever listens; all of them listen, since all of them answer. So a change that one
/// process announces reaches the others. It leaves nothing behind: positions that are known already are dropped.
///
/// It does not prove that a process has caught up with the changes before, nor that it can fetch rows which it missed from
/// the writer or the database; for the ways to these, `health` and `database` ask.
pub(super) fn moves(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some((server, (topology, _))) = expected.redis.as_ref().zip(expected.topology.as_ref())
    else {
        return Ok("not used".to_owned());
    };
    let due = positions(topology);
    let wanted: Vec<&str> = due.keys().map(String::as_str).collect();
    let silent = server
        .converse(&expected.server_name, QUESTION, &wanted, BOUND, end)
        .context("asking for the positions of streams")?;
    let lost: BTreeSet<String> = silent
        .iter()
        .filter_map(|words| due.get(words))
        .map(|(process, stream)| format!("{process} ({stream})"))
        .collect();
    let units: BTreeSet<String> = silent
        .iter()
        .filter_map(|words| due.get(words))
        .map(|(process, _)| units::process(process))
        .collect();
    ensure!(
        silent.is_empty(),
        "within {} s nothing was heard of {}; see: journalctl {}",
        BOUND.as_secs(),
        Vec::from_iter(lost).join(", "),
        Vec::from_iter(units.iter().map(|unit| format!("-u {unit}"))).join(" ")
    );
    Ok(format!("{} streams move", due.len()))
}

/// The beginnings of the commands that are due, with the process that each comes from and the stream it is about.
fn positions(topology: &Topology) -> BTreeMap<String, (&str, &str)> {
    let names = topology.workers.iter().map(|worker| worker.name.as_str());
    let caches = names.chain(["main"]).map(|name| ("caches", name));
    let writers = topology.stream_writers();
    let written = writers.iter().flat_map(|(key, workers)| {
        let stream = stream(key);
        workers.iter().map(move |worker| (stream, *worker))
    });
    caches
        .chain(written)
        .map(|(stream, process)| {
            // The main process has no name of its own in Synapse's configuration.
            let instance = if process == "main" { "master" } else { process };
            let command = format!("POSITION {stream} {instance}");
            (command, (process, stream))
        })
        .collect()
}

/// The stream of a key of `stream_writers`. They have one name but for this one (replication/tcp/streams/_base.py).
fn stream(key: &str) -> &str {
    match key {
        "quarantined_media_changes" => "quarantined_media",
        key => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::parse;

    #[test]
    fn every_process_and_every_writer_is_heard() {
        let specs = parse(&["synchrotron, a=typing+presence, media_repository"]).unwrap();
        let topology = Topology::new(specs).unwrap();
        let due: Vec<String> = positions(&topology).into_keys().collect();
        assert_eq!(
            due,
            [
                "POSITION caches a1",
                "POSITION caches master",
                "POSITION caches media_repository1",
                "POSITION caches synchrotron1",
                "POSITION presence a1",
                "POSITION quarantined_media media_repository1",
                "POSITION typing a1",
            ]
        );
    }
}
