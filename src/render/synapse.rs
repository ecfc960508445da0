//! Synapse's own files: options, what workers share (a file for each top-level key), what each process alone reads.

use super::{Input, Sheaf, filters};
use crate::paths;
use crate::settings::Settings;
use crate::settings::types::DatabaseKind;
use crate::settings::value::Scalar;
use crate::topology::{Duty, Worker};
use anyhow::Result;
use askama::Template;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "synapse/homeserver.yaml")]
struct Homeserver<'a> {
    settings: &'a Settings,
    signing_key: &'a str,
    sqlite: Option<&'a str>,
    database_host: String,
    passfile: Option<String>,
}

impl Homeserver<'_> {
    fn secret(&self, name: &str) -> String {
        paths::secret(name)
    }
}

#[derive(Template)]
#[template(path = "synapse/log.yaml")]
struct Log {
    level: String,
}

#[derive(Template)]
#[template(path = "synapse/process.yaml")]
struct Process<'a> {
    name: &'a str,
    worker: Option<&'a Worker>,
    media: bool,
    log_config: String,
    listeners: Vec<Listener>,
}

/// A Unix listener with the resources it serves.
#[derive(Serialize)]
struct Listener {
    path: String,
    resources: Vec<&'static str>,
}

/// The listener through which other Synapse processes reach this one.
fn replication(process: &str) -> Listener {
    Listener {
        path: paths::replication_socket(process),
        resources: vec!["replication"],
    }
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let settings = input.settings;
    let database = input.database();
    let homeserver = Homeserver {
        settings,
        signing_key: paths::SIGNING_KEY,
        sqlite: (database == DatabaseKind::Sqlite).then_some(paths::SQLITE),
        database_host: match (&settings.database.host, database) {
            (Some(host), DatabaseKind::External) => host.to_string(),
            _ => paths::POSTGRES_SOCKETS.to_owned(),
        },
        passfile: (database == DatabaseKind::External && input.facts.password)
            .then(|| paths::secret("pgpass")),
    };
    sheaf.text("synapse/homeserver.yaml", homeserver.render()?);
    let log = Log {
        level: settings.log_level.show(),
    };
    sheaf.text("synapse/log.yaml", log.render()?);
    let version = match &input.facts.version {
        Some(version) => version.clone(),
        None => settings.synapse.version.show(),
    };
    sheaf.text("synapse/version", version);
    for (name, contents) in input.own_options {
        sheaf
            .add(
                &format!("synapse/homeserver.d/{name}"),
                contents.clone(),
                &[],
            )
            .private = true;
    }
    processes(sheaf)?;
    if input.has_workers() {
        shared(sheaf)?;
    }
    Ok(())
}

/// One file for main and one for each worker.
fn processes(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let log_config = format!("{}/synapse/log.yaml", paths::CURRENT);
    let mut resources = vec!["client", "federation"];
    if consent(input) {
        resources.push("consent");
    }
    let mut listeners = vec![Listener {
        path: paths::public_socket("main"),
        resources,
    }];
    if input.has_workers() {
        listeners.push(replication("main"));
    }
    let main = Process {
        name: "main",
        worker: None,
        media: false,
        log_config: log_config.clone(),
        listeners,
    };
    sheaf.text("synapse/main.yaml", main.render()?);
    for worker in &input.topology.workers {
        let mut listeners = vec![Listener {
            path: paths::public_socket(&worker.name),
            resources: worker.resources().into_iter().collect(),
        }];
        if worker.replicates() {
            listeners.push(replication(&worker.name));
        }
        let process = Process {
            name: &worker.name,
            worker: Some(worker),
            media: worker.has("media_repository"),
            log_config: log_config.clone(),
            listeners,
        };
        sheaf.text(
            &format!("synapse/workers/{}.yaml", worker.name),
            process.render()?,
        );
    }
    Ok(())
}

/// Whether the administrator's own options ask for the consent pages, which need a resource of their own on main.
fn consent(input: &Input) -> bool {
    input.own_options.values().any(|contents| {
        serde_yaml::from_slice::<BTreeMap<String, serde_yaml::Value>>(contents)
            .is_ok_and(|options| options.contains_key("user_consent"))
    })
}

/// What every process reads about the workers. Synapse merges files by top-level key, so each key stands whole in
/// one file; a key whose list would be empty is left out (an empty list would mean that nobody does the work).
fn shared(sheaf: &mut Sheaf) -> Result<()> {
    let topology = sheaf.input.topology;
    let mut file = |name: &str, keys: serde_json::Value, listed: &[&str]| -> Result<()> {
        let mut text = "# Made by synapse-workers: read by every Synapse process.\n".to_owned();
        for (key, value) in keys.as_object().into_iter().flatten() {
            text.push_str(&format!("{key}: {}\n", serde_json::to_string(value)?));
        }
        sheaf.listing(&format!("synapse/shared.d/{name}.yaml"), text, listed);
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
            "redis": {"enabled": true, "path": paths::redis_socket()},
        }),
        &[],
    )?;
    let instances: BTreeMap<&str, serde_json::Value> = topology
        .instance_map()
        .into_iter()
        .chain(["main"])
        .map(|name| (name, json!({"path": paths::replication_socket(name)})))
        .collect();
    file("instance_map", json!({"instance_map": instances}), &[])?;
    let writers = topology.stream_writers();
    if !writers.is_empty() {
        file("stream_writers", json!({"stream_writers": writers}), &[])?;
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
