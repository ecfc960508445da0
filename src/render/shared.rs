//! The configuration that Synapse's processes share when there are workers: one file per top-level key, so that restart
//! rules apply per key.

use super::{Input, StateBuilder};
use crate::deployment::endpoints::Endpoint;
use crate::state::paths;
use crate::topology::Duty;
use anyhow::Result;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Renders the options about workers that every process reads. Synapse merges files by top-level key, so each key is
/// complete in one file. A key whose list would be empty is omitted, because an empty list would assign the duty to no
/// process.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let topology = &builder.input.topology;
    let endpoints = builder.input.endpoints();
    let redis = redis(builder.input);
    let mut file = |name: &str, keys: serde_json::Value, listed: &[&str]| -> Result<()> {
        let mut text = "# Made by synapse-workers: read by every Synapse process.\n".to_owned();
        for (key, value) in keys.as_object().into_iter().flatten() {
            text.push_str(&format!("{key}: {}\n", serde_json::to_string(value)?));
        }
        builder.listing(&format!("synapse/shared.d/{name}.yaml"), text, listed);
        Ok(())
    };
    let names = |duty: Duty| -> Vec<&str> {
        topology
            .with_duty(duty)
            .map(|worker| worker.name.as_str())
            .collect()
    };

    file(
        "replication",
        json!({
            "worker_replication_secret_path": paths::secret("worker_replication_secret"),
            "redis": redis,
        }),
        &[],
    )?;
    let instances: BTreeMap<&String, serde_json::Value> = endpoints
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
    for (duty, key) in [
        (Duty::FederationSender, "federation_sender_instances"),
        (Duty::Pusher, "pusher_instances"),
    ] {
        let all = names(duty);
        if !all.is_empty() {
            file(key, json!({key: all}), &all)?;
        }
    }
    for (duty, key) in [
        (Duty::NotifyAppservices, "notify_appservices_from_worker"),
        (
            Duty::UpdateUserDirectory,
            "update_user_directory_from_worker",
        ),
        (Duty::BackgroundTasks, "run_background_tasks_on"),
    ] {
        if let [one] = names(duty)[..] {
            file(key, json!({key: one}), &[one])?;
        }
    }
    let media = names(Duty::Media);
    if let Some(first) = media.first() {
        let keys = json!({
            "enable_media_repo": false,
            "media_instance_running_background_jobs": first,
        });
        file("media", keys, &media)?;
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
