//! nginx's logs of requests: one for metrics, without addresses and paths, and one for fail2ban and administrators.

use super::super::Input;
use crate::deployment::endpoints::Endpoint;
use crate::state::paths;

/// The logs that nginx writes.
pub(super) struct Logs {
    /// The file from which mtail computes metrics.
    pub metrics: Option<&'static str>,
    /// The file with the addresses of clients (`nginx.access_log`).
    pub requests: Option<&'static str>,
    /// The processes that nginx reaches over TCP. The path of a Unix socket already contains the name.
    pub ports: Vec<Process>,
}

/// The name of a process by its address.
pub(super) struct Process {
    /// A regular expression for the end of nginx's list of addresses.
    pub address: String,
    pub name: String,
}

impl Logs {
    /// The logs of these settings; `None` if there is none.
    pub fn new(input: &Input) -> Option<Self> {
        let endpoints = input.endpoints();
        let port = |name: &str| {
            let address = match endpoints.public(name) {
                Endpoint::Port(port) => format!(":{port}"),
                Endpoint::Address(address) => {
                    format!("(^| ){}", regex::escape(&address.to_string()))
                }
                Endpoint::Socket(_) => return None,
            };
            Some(Process {
                address,
                name: name.to_owned(),
            })
        };
        let workers = input.topology.workers.iter();
        let names = workers.map(|worker| worker.name.as_str());
        is_written(input).then(|| Self {
            metrics: input.settings.metrics.enabled.then_some(paths::ACCESS_LOG),
            requests: keeps_requests(input).then_some(paths::REQUEST_LOG),
            ports: names.chain(["main"]).filter_map(port).collect(),
        })
    }
}

/// Whether nginx writes a log.
pub fn is_written(input: &Input) -> bool {
    input.settings.metrics.enabled || keeps_requests(input)
}

/// Whether nginx writes a log with the addresses of clients.
pub fn keeps_requests(input: &Input) -> bool {
    input.settings.nginx.access_log
}
