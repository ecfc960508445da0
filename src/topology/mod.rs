//! Topology: workers and routes, from a worker spec.
