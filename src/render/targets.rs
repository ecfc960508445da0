//! The targets of Prometheus: the processes of Synapse, and the services with metrics.

use super::metrics::{self, Target};
use super::service::Job;
use super::{Input, services};
use crate::deployment::endpoints::{Endpoint, ServicePort, loopback};
use crate::settings::types::Hosts;

/// A target for every running program that has metrics, on every host. The labels `job` and `index` of a process group
/// the graphs of Synapse's own dashboards (docs/metrics-howto.md), in which the main process is called `synapse`
/// (contrib/grafana/synapse.json).
pub fn all(input: &Input) -> Vec<Target> {
    if !metrics::wanted(input) {
        return Vec::new();
    }
    let endpoints = input.endpoints();
    let host = |name: Option<&str>| {
        let several = input.has_other_hosts();
        several.then(|| name.unwrap_or(Hosts::FIRST).to_owned())
    };
    let process = |name: &str, job: &str, index: u16, of_host: Option<&str>| {
        let own_path = metrics::SYNAPSE_PATH.to_owned();
        let (address, path) = match (endpoints.public(name), metrics::over_socket(input)) {
            // The same listener as for requests, as behind a Unix socket.
            (Endpoint::Address(address), _) => (address, own_path),
            (_, true) => {
                let port = endpoints.service(ServicePort::NginxStatus);
                (loopback(port), metrics::path_of(name))
            }
            (_, false) => (loopback(endpoints.metrics(name)), own_path),
        };
        Target {
            name: name.to_owned(),
            address,
            path,
            process: Some((job.to_owned(), index)),
            host: host(of_host),
        }
    };
    let other = |name: &str, port: u16, path: &'static str| Target {
        name: name.to_owned(),
        address: loopback(port),
        path: path.to_owned(),
        process: None,
        host: host(None),
    };
    let mut targets = vec![process("main", "synapse", 1, None)];
    let workers = input.topology.workers.iter();
    targets.extend(workers.map(|worker| {
        let host = worker.host.as_deref();
        process(&worker.name, &worker.spec_name, worker.index, host)
    }));
    let own = input.settings.metrics.prometheus_port.number();
    targets.push(other("prometheus", own, "/metrics"));
    let jobs = services::wanted(input).filter_map(|service| service.job.as_ref());
    let mut jobs: Vec<&Job> = jobs.filter(|job| (job.enabled)(&input.settings)).collect();
    // Programs with a port of their own come first, then the pages that nginx serves.
    jobs.sort_by_key(|job| job.port == ServicePort::NginxStatus);
    let jobs = jobs.into_iter();
    targets.extend(jobs.map(|job| other(job.name, endpoints.service(job.port), job.path)));
    targets
}
