//! Metrics: Prometheus, what it collects from, and the exporters of programs that have no metrics of their own.

mod exporters;

pub(super) use exporters::{nginx, nginx_log};
