//! The other hosts of the server: whether their processes answer, and what stands still if they do not.

use crate::deployment::endpoints::Endpoints;
use crate::host::{self, Peer};
use crate::parallel;
use crate::report::Report;
use crate::request::Request;
use crate::topology::Worker;
use serde::Serialize;
use std::time::Instant;

/// One other host.
#[derive(Serialize)]
pub(super) struct OtherHost {
    name: String,
    /// Whether the generation in use leaves it out; it is not asked then.
    left_out: bool,
    /// The number of its processes that are in use.
    processes: usize,
    /// Those that do not answer.
    silent: Vec<Silent>,
}

/// A process that does not answer.
#[derive(Serialize)]
struct Silent {
    name: String,
    /// The streams that it writes, if any: what needs them waits for it.
    streams: Vec<&'static str>,
}

impl OtherHost {
    /// Asks the processes of every other host; none on another host than the first.
    pub(super) fn ask(known: Option<&Request>, end: Instant) -> Vec<Self> {
        let Some(known) = known.filter(|known| known.host.is_none()) else {
            return Vec::new();
        };
        let endpoints = Endpoints::new(&known.settings, &known.topology);
        let ask = |worker: &&Worker| {
            let peer = Peer::At(endpoints.public(&worker.name));
            let answers = matches!(host::status(&peer, "/health", end), Ok(200));
            (!answers).then(|| Silent {
                name: worker.name.clone(),
                streams: worker.roles.iter().filter_map(|role| role.stream).collect(),
            })
        };
        let hosts = known.settings.hosts.all().iter();
        let hosts = hosts.map(|host| {
            let workers: Vec<&Worker> = known.topology.on(Some(&host.name)).collect();
            Self {
                name: host.name.clone(),
                left_out: false,
                processes: workers.len(),
                silent: parallel::map(&workers, ask).into_iter().flatten().collect(),
            }
        });
        let left_out = known.names_left_out().into_iter().map(|name| Self {
            name,
            left_out: true,
            processes: 0,
            silent: Vec::new(),
        });
        hosts.chain(left_out).collect()
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.silent.is_empty()
    }

    /// Prints the host, with the processes that do not answer.
    pub(super) fn print(&self, report: &Report) {
        let Self {
            name,
            left_out,
            processes,
            silent,
        } = self;
        if *left_out {
            report.say(format!(
                "{name} is left out; the next `install` without --without brings it back"
            ));
            return;
        }
        if silent.is_empty() {
            report.say(format!("{name}: {processes} processes answer"));
            return;
        }
        report.say(format!(
            "{name}: {} of {processes} processes do not answer (synapse-workers verify)",
            silent.len()
        ));
        for Silent { name, streams } in silent {
            let streams = match streams.is_empty() {
                true => String::new(),
                false => format!(", which writes {}", streams.join(", ")),
            };
            report.say(format!("  {name}{streams}"));
        }
    }
}
