//! Metrics: Prometheus, what it collects from, and the exporters of programs that have no metrics of their own.

mod exporters;
mod grafana;
mod host;
mod prometheus;

pub(super) use exporters::{nginx, nginx_log, postgres, redis};
pub(super) use host::render as host;
pub(super) use prometheus::{SYNAPSE_PATH, render};
pub use prometheus::{Target, targets};

use super::{Input, network};
use crate::settings::types::DatabaseKind;
use crate::topology::Worker;

/// Whether there are metrics at all.
pub(super) fn wanted(input: &Input) -> bool {
    input.settings.metrics.enabled
}

/// Whether a process of Synapse, main where there is no worker, tells its metrics over the socket at which nginx reaches
/// it, for want of a network. Others have a port and a thread for it, so that they tell them while they are busy.
pub(super) fn over_socket(input: &Input, worker: Option<&Worker>) -> bool {
    wanted(input) && worker.is_some_and(|worker| !network::is_needed(input, worker))
}

/// Where nginx hands on the metrics of such a process.
pub(super) fn path_of(process: &str) -> String {
    format!("/process/{process}")
}

/// Whether Redis' metrics are asked for, of one that there is.
pub(super) fn redis_wanted(input: &Input) -> bool {
    wanted(input) && input.settings.metrics.redis && input.has_workers()
}

/// Whether PostgreSQL's metrics are asked for, of one that is used.
pub(super) fn postgres_wanted(input: &Input) -> bool {
    let used = matches!(
        input.database(),
        DatabaseKind::Local | DatabaseKind::External
    );
    wanted(input) && input.settings.metrics.postgres && used
}

/// Whether the PostgreSQL that is asked is the host's own.
pub(super) fn own_postgres_wanted(input: &Input) -> bool {
    postgres_wanted(input) && input.database() == DatabaseKind::Local
}
