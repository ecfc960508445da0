//! The keys of Synapse that divide work among processes (config/workers.py of 1.163.2). This program decides the value
//! of each, so no file of the administrator, in homeserver.d or adopted, may set one to a value that divides work.

use super::roles::Duty;
use crate::pyyaml;
use serde_yaml::Value as Yaml;

/// A top-level key of Synapse's configuration.
#[derive(Debug)]
pub struct WorkerKey {
    /// The name of the key.
    pub key: &'static str,
    /// The file in `shared.d` that sets it, without extension; `None` if no process needs it there.
    pub file: Option<&'static str>,
    /// The form of its value.
    pub value: Value,
    /// What the administrator uses in its place.
    pub instead: &'static str,
    /// The values of the administrator that divide nothing, besides null.
    inert: Inert,
}

/// Values that are empty or equal to Synapse's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inert {
    /// None: an empty list, for instance, would assign the duty to no process.
    Never,
    /// An empty text, list or mapping.
    Empty,
    /// The name of the main process, or an empty text.
    Main,
    /// A mapping with no other process than main, as keys.
    OnlyMainAsKey,
    /// A mapping with no other process than main, as values.
    OnlyMainAsValue,
    /// This boolean.
    Flag(bool),
    /// This word, or an empty text.
    Word(&'static str),
}

impl WorkerKey {
    /// Whether this value of the key divides work among processes.
    pub fn divides(&self, value: &Yaml) -> bool {
        let main = |value: &Yaml| matches!(value.as_str(), Some("main" | "master" | ""));
        let inert = value.is_null()
            || match self.inert {
                Inert::Never => false,
                Inert::Empty => is_empty(value),
                Inert::Main => main(value),
                Inert::Word(word) => is_empty(value) || value.as_str() == Some(word),
                Inert::Flag(flag) => pyyaml::truth(value) == Some(flag),
                Inert::OnlyMainAsKey => {
                    let keys = value.as_mapping();
                    is_empty(value) || keys.is_some_and(|keys| keys.keys().all(main))
                }
                Inert::OnlyMainAsValue => {
                    let only_main = |value: &Yaml| match value {
                        Yaml::Sequence(names) => names.len() == 1 && names.iter().all(main),
                        name => main(name),
                    };
                    let writers = value.as_mapping();
                    is_empty(value) || writers.is_some_and(|all| all.values().all(only_main))
                }
            };
        !inert
    }
}

fn is_empty(value: &Yaml) -> bool {
    match value {
        Yaml::String(text) => text.is_empty(),
        Yaml::Sequence(items) => items.is_empty(),
        Yaml::Mapping(keys) => keys.is_empty(),
        _ => false,
    }
}

/// The value of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A list of all workers with the duty.
    All(Duty),
    /// The name of the only worker with the duty.
    Only(Duty),
    /// The name of the first worker with the duty.
    First(Duty),
    /// False, except in the own file of each worker with the duty.
    Off(Duty),
    /// Not names of workers with a duty.
    Other,
}

impl Value {
    /// The duty that the key assigns.
    pub fn duty(self) -> Option<Duty> {
        match self {
            Value::All(duty) | Value::Only(duty) | Value::First(duty) | Value::Off(duty) => {
                Some(duty)
            }
            Value::Other => None,
        }
    }
}

const WORKERS: &str = "use the setting `workers`";
const NETWORK: &str = "use the setting `sandbox.network`";
const SECRETS: &str = "it is a file in the directory of secrets";
const SYSTEMD: &str = "systemd runs the processes";
const REPLICATION: &str = "processes reach each other at addresses that this program chooses";

const fn row(
    key: &'static str,
    file: Option<&'static str>,
    value: Value,
    instead: &'static str,
    inert: Inert,
) -> WorkerKey {
    WorkerKey {
        key,
        file,
        value,
        instead,
        inert,
    }
}

/// A key that no rendered file has.
const fn other(key: &'static str, instead: &'static str, inert: Inert) -> WorkerKey {
    row(key, None, Value::Other, instead, inert)
}

/// All keys. A file of the same name as its key contains no other key, so that its restart rule is that of the key.
#[rustfmt::skip]
pub static WORKER_KEYS: &[WorkerKey] = &[
    row("instance_map", Some("instance_map"), Value::Other, WORKERS, Inert::OnlyMainAsKey),
    row("stream_writers", Some("stream_writers"), Value::Other, WORKERS, Inert::OnlyMainAsValue),
    row("outbound_federation_restricted_to", Some("outbound_federation_restricted_to"), Value::Other, NETWORK, Inert::Never),
    row("federation_sender_instances", Some("federation_sender_instances"), Value::All(Duty::FederationSender), WORKERS, Inert::Never),
    row("pusher_instances", Some("pusher_instances"), Value::All(Duty::Pusher), WORKERS, Inert::Never),
    row("notify_appservices_from_worker", Some("notify_appservices_from_worker"), Value::Only(Duty::NotifyAppservices), WORKERS, Inert::Main),
    row("update_user_directory_from_worker", Some("update_user_directory_from_worker"), Value::Only(Duty::UpdateUserDirectory), WORKERS, Inert::Main),
    row("run_background_tasks_on", Some("run_background_tasks_on"), Value::Only(Duty::BackgroundTasks), WORKERS, Inert::Main),
    row("enable_media_repo", Some("media"), Value::Off(Duty::Media), WORKERS, Inert::Flag(true)),
    row("media_instance_running_background_jobs", Some("media"), Value::First(Duty::Media), WORKERS, Inert::Main),
    row("worker_replication_secret_path", Some("replication"), Value::Other, SECRETS, Inert::Empty),
    other("worker_replication_secret", SECRETS, Inert::Empty),
    // In the own file of each worker.
    other("worker_app", WORKERS, Inert::Word("synapse.app.homeserver")),
    other("worker_name", WORKERS, Inert::Never),
    other("worker_listeners", WORKERS, Inert::Empty),
    other("worker_log_config", "use the setting `log_level` or `log_config`", Inert::Never),
    other("worker_manhole", "use the settings in `manhole`", Inert::Never),
    other("worker_daemonize", SYSTEMD, Inert::Flag(false)),
    other("worker_pid_file", SYSTEMD, Inert::Never),
    // Addresses of earlier releases, most of which config/workers.py refuses.
    other("worker_replication_host", REPLICATION, Inert::Empty),
    other("worker_replication_port", REPLICATION, Inert::Never),
    other("worker_replication_http_port", REPLICATION, Inert::Never),
    other("worker_replication_http_tls", REPLICATION, Inert::Flag(false)),
    other("worker_main_http_uri", REPLICATION, Inert::Empty),
    // Names of earlier releases, which config/workers.py still reads.
    other("send_federation", WORKERS, Inert::Flag(true)),
    other("start_pushers", WORKERS, Inert::Flag(true)),
    other("notify_appservices", WORKERS, Inert::Flag(true)),
    other("update_user_directory", WORKERS, Inert::Flag(true)),
];

/// Names of earlier releases that Synapse refuses, whatever their value, if a worker has the duty (config/workers.py,
/// `_should_this_worker_perform_duty`).
pub static CONFLICTING: &[(&str, Duty)] = &[
    ("notify_appservices", Duty::NotifyAppservices),
    ("update_user_directory", Duty::UpdateUserDirectory),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_empty_or_synapses_default_divide_nothing() {
        for (line, divides) in [
            ("instance_map: {}", false),
            ("instance_map: {main: {host: localhost, port: 9093}}", false),
            ("instance_map: {w: {host: localhost, port: 9093}}", true),
            ("stream_writers: []", false),
            ("stream_writers: {typing: [master], events: main}", false),
            ("stream_writers: {typing: w}", true),
            ("stream_writers: {events: [master, w]}", true),
            ("run_background_tasks_on: null", false),
            ("run_background_tasks_on: ''", false),
            ("run_background_tasks_on: master", false),
            ("run_background_tasks_on: w", true),
            ("send_federation: yes", false),
            ("send_federation: true", false),
            ("send_federation: off", true),
            ("enable_media_repo: On", false),
            ("enable_media_repo: no", true),
            // An empty list assigns the duty to no process.
            ("federation_sender_instances: []", true),
            ("pusher_instances: []", true),
            ("pusher_instances:", false),
            ("outbound_federation_restricted_to: []", true),
            ("worker_app: synapse.app.homeserver", false),
            ("worker_app: synapse.app.generic_worker", true),
            ("worker_daemonize: false", false),
            ("worker_replication_secret: x", true),
            ("worker_replication_secret: ''", false),
        ] {
            let options = pyyaml::options(line.as_bytes()).unwrap();
            let (key, value) = options.mapping.iter().next().unwrap();
            let row = WORKER_KEYS.iter().find(|row| Some(row.key) == key.as_str());
            assert_eq!(row.unwrap().divides(value), divides, "{line}");
        }
        for row in WORKER_KEYS {
            assert!(!row.divides(&Yaml::Null), "{}", row.key);
        }
    }
}
