//! An entry of the workers of one host.

use std::fmt;

use super::spec::WorkerSpec;

/// An entry on its host.
pub(super) struct Entry {
    /// The name of the host; `None` for the first host.
    pub host: Option<String>,
    /// The spec; on another host, its name has the prefix.
    pub spec: WorkerSpec,
}

impl Entry {
    pub(super) fn of_first(spec: WorkerSpec) -> Self {
        Self { host: None, spec }
    }

    pub(super) fn of_other(host: &str, mut spec: WorkerSpec) -> Self {
        spec.name = format!("{host}_{}", spec.name);
        spec.named = true;
        Self {
            host: Some(host.to_owned()),
            spec,
        }
    }
}

impl Entry {
    /// The name for messages: that of its workers without their number, and the host if that is another one.
    pub(super) fn label(&self) -> String {
        match &self.host {
            None => self.spec.name.clone(),
            Some(host) => format!("{} on {host}", &self.spec.name[host.len() + 1..]),
        }
    }
}

/// The notation of the spec, before the host if that is another one.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.host {
            None => write!(f, "{}", self.spec),
            Some(host) => write!(f, "{} on {host}", self.spec),
        }
    }
}

/// The name of a worker, from its entry and number.
pub(super) fn worker_name(spec: &WorkerSpec, index: u16) -> String {
    format!("{}{index}", spec.name)
}
