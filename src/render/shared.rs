//! The configuration that Synapse's processes share when there are workers: one file per top-level key, so that restart
//! rules apply per key.

use super::{Input, StateBuilder};
use crate::deployment::endpoints::Endpoint;
use crate::state::paths;
use crate::topology::{WORKER_KEYS, worker_keys};
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Renders the options about workers that every process reads. Synapse merges files by top-level key, so each key is
/// complete in one file. A key whose list would be empty is omitted, because an empty list would assign the duty to no
/// process.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let topology = &builder.input.topology;
    let endpoints = builder.input.endpoints();
    let redis = redis(builder.input);
    let mut file = |name: &str, keys: Value, listed: &[&str]| -> Result<()> {
        let mut text = "# Made by synapse-workers: read by every Synapse process.\n".to_owned();
        for (key, value) in keys.as_object().into_iter().flatten() {
            text.push_str(&format!("{key}: {}\n", serde_json::to_string(value)?));
        }
        builder.listing(&format!("synapse/shared.d/{name}.yaml"), text, listed);
        Ok(())
    };
    file(
        "replication",
        json!({
            "worker_replication_secret_path": paths::secret("worker_replication_secret"),
            "redis": redis,
        }),
        &[],
    )?;
    let instances: BTreeMap<&String, Value> = endpoints
        .reached()
        .iter()
        .map(|name| (name, place(&endpoints.replication(name))))
        .collect();
    file("instance_map", json!({"instance_map": instances}), &[])?;
    let writers = topology.stream_writers();
    if !writers.is_empty() {
        file("stream_writers", json!({"stream_writers": writers}), &[])?;
    }
    let senders = endpoints.senders();
    if !senders.is_empty() {
        let key = "outbound_federation_restricted_to";
        file(key, json!({key: senders}), &[])?;
    }
    // A duty that no worker has stays with the main process.
    let mut duties: BTreeMap<&str, (Map<String, Value>, Vec<&str>)> = BTreeMap::new();
    for row in WORKER_KEYS {
        let (Some(name), Some(duty)) = (row.file, row.value.duty()) else {
            continue;
        };
        let workers = topology.with_duty(duty);
        let workers: Vec<&str> = workers.map(|worker| worker.name.as_str()).collect();
        let Some(first) = workers.first() else {
            continue;
        };
        let value = match row.value {
            worker_keys::Value::All(_) => json!(workers),
            worker_keys::Value::Only(_) | worker_keys::Value::First(_) => json!(first),
            worker_keys::Value::Off(_) => json!(false),
            worker_keys::Value::Other => continue,
        };
        let (keys, listed) = duties.entry(name).or_default();
        keys.insert(row.key.to_owned(), value);
        *listed = workers;
    }
    for (name, (keys, listed)) in duties {
        file(name, keys.into(), &listed)?;
    }
    Ok(())
}

/// An entry of `instance_map`.
fn place(endpoint: &Endpoint) -> Value {
    match endpoint {
        Endpoint::Socket(path) => json!({"path": path}),
        Endpoint::Port(port) => json!({"host": "127.0.0.1", "port": port}),
    }
}

/// The connection to this server's own Redis or to the one in the settings (config_documentation.md, `redis`).
fn redis(input: &Input) -> Value {
    let redis = &input.settings.redis;
    let Some(host) = &redis.host else {
        return json!({"enabled": true, "path": paths::redis_socket()});
    };
    let mut options = json!({"enabled": true, "host": host.as_str(), "port": redis.port.number()});
    if redis.tls {
        options["use_tls"] = json!(true);
    }
    if let Some(file) = &redis.ca_file {
        options["ca_file"] = json!(file.as_str());
    }
    if let Some(name) = &redis.username {
        options["username"] = json!(name.as_str());
    }
    if input.has_secret("redis_password") {
        options["password_path"] = json!(paths::secret("redis_password"));
    }
    options
}
