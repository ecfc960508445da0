//! Probes of replication between processes.

use super::Expected;
use crate::host::Host;
use crate::state::units;
use crate::topology::Topology;
use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The time in which a process that has just started subscribes: it is ready before it is connected to Redis.
const SUBSCRIPTION_TIMEOUT: Duration = Duration::from_secs(3);

/// Every process must subscribe to the channel that carries replication.
pub(super) fn subscribers(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some(server) = &expected.redis else {
        return Ok("not used".to_owned());
    };
    let question = ["PUBSUB", "NUMSUB", &expected.server_name];
    let processes = expected.processes().len();
    let patient = end.min(Instant::now() + SUBSCRIPTION_TIMEOUT);
    loop {
        let counts = server.ask(&question, end)?;
        let listening: usize = counts
            .get(1)
            .and_then(|count| count.parse().ok())
            .unwrap_or(0);
        if listening >= processes {
            return Ok(format!("{listening} processes subscribe"));
        }
        ensure!(
            Instant::now() < patient,
            "only {listening} of {processes} processes subscribe to replication in Redis"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The timeout of one round through all processes: each answers in milliseconds unless it is busy.
const ROUND_TIMEOUT: Duration = Duration::from_secs(2);

/// The command that a process sends when it subscribes, so that the others send their positions
/// (replication/tcp/redis.py, `_send_subscribe`).
const QUESTION: &str = "REPLICATE ";

/// Sends the command of a process that has just started, and subscribes to the channel like the others. On `REPLICATE`
/// every process sends its position in each stream that it writes (replication/tcp/handler.py, `on_REPLICATE`), and
/// every process writes `caches`. So one answer of each process is due, and one more for each stream that a worker
/// writes.
///
/// This proves that every process receives what is published on the channel, that its loop which sends changes runs,
/// and that its messages reach the subscribers. All processes subscribe, because all of them answer. So a change that
/// one process announces reaches the others. The probe has no lasting effect: processes ignore positions that they know
/// already.
///
/// It does not prove that a process has caught up with earlier changes, nor that it can fetch missed rows from the
/// writer or the database; `health` and `database` probe the endpoints for that.
pub(super) fn moves(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some((server, (topology, _))) = expected.redis.as_ref().zip(expected.topology.as_ref())
    else {
        return Ok("not used".to_owned());
    };
    let due = positions(topology, &expected.writers);
    let wanted: Vec<&str> = due.keys().map(String::as_str).collect();
    let silent = server
        .converse(&expected.server_name, QUESTION, &wanted, ROUND_TIMEOUT, end)
        .context("requesting the positions of streams in Redis")?;
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
        "no position received within {} s from {}\n    see: journalctl {}",
        ROUND_TIMEOUT.as_secs(),
        Vec::from_iter(lost).join(", "),
        Vec::from_iter(units.iter().map(|unit| format!("-u {unit}"))).join(" ")
    );
    Ok(format!("{} streams move", due.len()))
}

/// The first words of each expected command, with the process that sends it and its stream.
fn positions<'a>(
    topology: &'a Topology,
    writers: &'a BTreeMap<&'static str, Vec<String>>,
) -> BTreeMap<String, (&'a str, &'a str)> {
    let names = topology.workers.iter().map(|worker| worker.name.as_str());
    let caches = names.chain(["main"]).map(|name| ("caches", name));
    let written = writers.iter().flat_map(|(key, workers)| {
        let stream = stream(key);
        workers.iter().map(move |worker| (stream, worker.as_str()))
    });
    caches
        .chain(written)
        .map(|(stream, process)| {
            // Synapse's configuration has no name for the main process.
            let instance = if process == "main" { "master" } else { process };
            let command = format!("POSITION {stream} {instance}");
            (command, (process, stream))
        })
        .collect()
}

/// The stream that a key of `stream_writers` stands for. All but one have the same name
/// (replication/tcp/streams/_base.py).
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
    fn every_process_and_every_writer_sends_its_position() {
        let specs = parse(&["synchrotron, a=typing+presence, media_repository"]).unwrap();
        let topology = Topology::new(specs).unwrap();
        let writers = topology.stream_writers().into_iter();
        let writers =
            writers.map(|(key, names)| (key, names.into_iter().map(str::to_owned).collect()));
        let writers = writers.collect();
        let due: Vec<String> = positions(&topology, &writers).into_keys().collect();
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
