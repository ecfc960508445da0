//! Metrics: Prometheus, its targets, and the exporters of programs without metrics of their own.

mod exporters;
mod grafana;
mod host;
mod pages;
mod prometheus;
mod target;

pub(super) use exporters::{nginx, nginx_log, postgres, redis};
pub(super) use host::render as host;
pub(super) use prometheus::{PORTS, SYNAPSE_PATH, render};
pub use target::Target;

use super::Input;
use crate::settings::types::DatabaseKind;

/// Whether metrics are enabled.
pub(super) fn wanted(input: &Input) -> bool {
    input.settings.metrics.enabled
}

/// Whether Synapse's processes serve metrics over the Unix sockets at which nginx reaches them. Synapse's own listener
/// for metrics is a TCP port, and its thread spins while the process has no descriptor left (http.server).
pub(super) fn over_socket(input: &Input) -> bool {
    wanted(input) && input.settings.sockets.public
}

/// The path at which nginx serves the metrics of such a process.
pub(super) fn path_of(process: &str) -> String {
    format!("/process/{process}")
}

/// Whether Redis' metrics are enabled and Redis is in use.
pub(super) fn redis_wanted(input: &Input) -> bool {
    wanted(input) && input.settings.metrics.redis && input.has_workers()
}

/// Whether PostgreSQL's metrics are enabled and PostgreSQL is in use.
pub(super) fn postgres_wanted(input: &Input) -> bool {
    let used = matches!(
        input.database(),
        DatabaseKind::Local | DatabaseKind::External
    );
    wanted(input) && input.settings.metrics.postgres && used
}

/// Whether these metrics come from the host's own PostgreSQL.
pub(super) fn own_postgres_wanted(input: &Input) -> bool {
    postgres_wanted(input) && input.database() == DatabaseKind::Local
}
