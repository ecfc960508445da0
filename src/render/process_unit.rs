//! The values of a unit file that runs Synapse's Python.

use super::{Input, logs, sockets};
use crate::settings::value::Scalar;
use crate::state::paths;
use crate::state::synapse_config;

/// The values in which the unit files of Synapse's processes differ.
pub(super) struct Process<'a> {
    pub current: &'a str,
    pub python: String,
    /// Whether systemd opens the sockets.
    pub held: bool,
    /// The launcher between Python and Synapse.
    pub launcher: Option<String>,
    pub jemalloc: bool,
    /// A directory with modules for Python, if this program renders the log configuration.
    pub python_path: Option<String>,
    pub memory: String,
    pub tasks: String,
    /// The directory of media, if a process of this host reads it.
    pub media_store_path: Option<&'a str>,
    pub user: &'a str,
    pub user_group: Option<&'a str>,
}

/// The arguments that name all configuration files of a process with this own file.
pub(super) fn arguments(own: &str) -> String {
    let paths = synapse_config::of_process(paths::OPTIONS, own);
    let options: Vec<String> = paths.iter().map(|path| format!("-c {path}")).collect();
    options.join(" ")
}

impl<'a> Process<'a> {
    /// The values for a process with this memory limit.
    pub fn new(input: &'a Input, memory: &str) -> Self {
        let settings = &input.settings;
        Self {
            current: paths::CURRENT,
            python: input.synapse().python.to_string_lossy().into_owned(),
            held: sockets::held(input),
            launcher: sockets::launcher(input),
            jemalloc: settings.synapse.jemalloc && input.facts.jemalloc,
            python_path: logs::python_path(input),
            memory: memory.to_owned(),
            tasks: settings.limits.tasks.show(),
            media_store_path: input.media_store_path(),
            user: settings.synapse.user.as_str(),
            user_group: input.facts.user_group.as_deref(),
        }
    }
}
