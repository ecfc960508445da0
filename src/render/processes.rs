//! What each Synapse process reads alone: its name, its listeners.

use super::{Input, Sheaf, filters, logs};
use crate::endpoints::Endpoint;
use crate::paths;
use crate::topology::Worker;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeMap;

#[derive(Template)]
#[template(path = "synapse/process.yaml")]
struct Process<'a> {
    name: &'a str,
    is_worker: bool,
    media: bool,
    log_config: String,
    listeners: Vec<Listener>,
}

/// Something that a process serves, and where (config_documentation.md, `listeners`).
struct Listener {
    kind: &'static str,
    endpoint: Endpoint,
    /// Of an http listener.
    resources: Vec<&'static str>,
}

impl Listener {
    fn http(endpoint: Endpoint, resources: Vec<&'static str>) -> Self {
        Self {
            kind: "http",
            endpoint,
            resources,
        }
    }
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let mut resources = vec!["client", "federation"];
    if consent(input) {
        resources.push("consent");
    }
    let main = process(input, "main", None, resources, input.has_workers());
    sheaf.text("synapse/main.yaml", main.render()?);
    for worker in &input.topology.workers {
        let resources = worker.resources().into_iter().collect();
        let process = process(
            input,
            &worker.name,
            Some(worker),
            resources,
            worker.replicates(),
        );
        let path = format!("synapse/workers/{}.yaml", worker.name);
        sheaf.text(&path, process.render()?);
    }
    Ok(())
}

fn process<'a>(
    input: &Input,
    name: &'a str,
    worker: Option<&Worker>,
    resources: Vec<&'static str>,
    replicates: bool,
) -> Process<'a> {
    let (settings, endpoints) = (input.settings, input.endpoints());
    let mut listeners = vec![Listener::http(endpoints.public(name), resources)];
    if replicates {
        listeners.push(Listener::http(
            endpoints.replication(name),
            vec!["replication"],
        ));
    }
    let manhole = match worker {
        Some(_) => settings.manhole.workers,
        None => settings.manhole.main,
    };
    for (wanted, kind, port) in [
        (settings.metrics.enabled, "metrics", endpoints.metrics(name)),
        (manhole, "manhole", endpoints.manhole(name)),
    ] {
        if wanted {
            listeners.push(Listener {
                kind,
                endpoint: Endpoint::Port(port),
                resources: Vec::new(),
            });
        }
    }
    Process {
        name,
        is_worker: worker.is_some(),
        media: worker.is_some_and(|worker| worker.has("media_repository")),
        log_config: format!("{}/{}", paths::CURRENT, logs::configuration(input, name)),
        listeners,
    }
}

/// Whether options that are not of ours ask for the consent pages, which need a resource of their own on main.
fn consent(input: &Input) -> bool {
    let files = input
        .own_options
        .values()
        .chain(input.adopted.copies.values());
    files.into_iter().any(|contents| {
        serde_yaml::from_slice::<BTreeMap<String, serde_yaml::Value>>(contents)
            .is_ok_and(|options| options.contains_key("user_consent"))
    })
}
