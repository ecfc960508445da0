//! The targets of Prometheus: the processes of Synapse, and the services with metrics.

use super::metrics::{self, Target};
use super::service::Job;
use super::{Input, services};
use crate::deployment::endpoints::ServicePort;

/// A target for every running program that has metrics. The labels `job` and `index` of a process group the graphs of
/// Synapse's own dashboards (docs/metrics-howto.md), in which the main process is called `synapse`
/// (contrib/grafana/synapse.json).
pub fn all(input: &Input) -> Vec<Target> {
    if !metrics::wanted(input) {
        return Vec::new();
    }
    let endpoints = input.endpoints();
    let process = |name: &str, job: &str, index: u16| {
        let (port, path) = match metrics::over_socket(input) {
            true => (
                endpoints.service(ServicePort::NginxStatus),
                metrics::path_of(name),
            ),
            false => (endpoints.metrics(name), metrics::SYNAPSE_PATH.to_owned()),
        };
        Target {
            name: name.to_owned(),
            port,
            path,
            process: Some((job.to_owned(), index)),
        }
    };
    let other = |name: &str, port: u16, path: &'static str| Target {
        name: name.to_owned(),
        port,
        path: path.to_owned(),
        process: None,
    };
    let mut targets = vec![process("main", "synapse", 1)];
    let workers = input.topology.workers.iter();
    targets.extend(workers.map(|worker| process(&worker.name, &worker.spec_name, worker.index)));
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
