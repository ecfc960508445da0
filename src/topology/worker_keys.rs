//! The keys of Synapse that divide work among processes (config/workers.py of 1.163.2). This program decides the value
//! of each, so no file of the administrator may set one.

use super::roles::Duty;

/// A top-level key of Synapse's configuration.
#[derive(Debug)]
pub struct WorkerKey {
    /// The name of the key.
    pub key: &'static str,
    /// The file in `shared.d` that sets it, without extension; `None` if no process needs it there.
    pub file: Option<&'static str>,
    /// The form of its value.
    pub value: Value,
    /// What the administrator uses in its place. `None` for names of earlier releases of Synapse, which are refused in
    /// adopted files only.
    pub instead: Option<&'static str>,
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

const WORKERS: Option<&str> = Some("use the setting `workers`");
const NETWORK: Option<&str> = Some("use the setting `sandbox.network`");
const SECRETS: Option<&str> = Some("it is a file in the directory of secrets");

const fn row(
    key: &'static str,
    file: Option<&'static str>,
    value: Value,
    instead: Option<&'static str>,
) -> WorkerKey {
    WorkerKey {
        key,
        file,
        value,
        instead,
    }
}

/// All keys. A file of the same name as its key contains no other key, so that its restart rule is that of the key.
#[rustfmt::skip]
pub static WORKER_KEYS: &[WorkerKey] = &[
    row("instance_map", Some("instance_map"), Value::Other, WORKERS),
    row("stream_writers", Some("stream_writers"), Value::Other, WORKERS),
    row("outbound_federation_restricted_to", Some("outbound_federation_restricted_to"), Value::Other, NETWORK),
    row("federation_sender_instances", Some("federation_sender_instances"), Value::All(Duty::FederationSender), WORKERS),
    row("pusher_instances", Some("pusher_instances"), Value::All(Duty::Pusher), WORKERS),
    row("notify_appservices_from_worker", Some("notify_appservices_from_worker"), Value::Only(Duty::NotifyAppservices), WORKERS),
    row("update_user_directory_from_worker", Some("update_user_directory_from_worker"), Value::Only(Duty::UpdateUserDirectory), WORKERS),
    row("run_background_tasks_on", Some("run_background_tasks_on"), Value::Only(Duty::BackgroundTasks), WORKERS),
    row("enable_media_repo", Some("media"), Value::Off(Duty::Media), WORKERS),
    row("media_instance_running_background_jobs", Some("media"), Value::First(Duty::Media), WORKERS),
    row("worker_replication_secret", None, Value::Other, SECRETS),
    row("worker_replication_secret_path", Some("replication"), Value::Other, SECRETS),
    // In the own file of each worker.
    row("worker_app", None, Value::Other, WORKERS),
    row("worker_name", None, Value::Other, WORKERS),
    row("worker_listeners", None, Value::Other, WORKERS),
    // Names of earlier releases, which config/workers.py still reads.
    row("send_federation", None, Value::Other, None),
    row("start_pushers", None, Value::Other, None),
    row("notify_appservices", None, Value::Other, None),
    row("update_user_directory", None, Value::Other, None),
];
