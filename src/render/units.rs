//! systemd's files: units, accounts, directories. And Redis, which is one small file.

use super::{Input, Sheaf, filters};
use crate::paths::{self, SYSUSERS, TMPFILES};
use crate::plan::names;
use crate::settings::Settings;
use crate::settings::value::Scalar;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeSet;

#[derive(Template)]
#[template(path = "synapse-workers.target")]
struct Target<'a> {
    server_name: &'a str,
}

/// What the unit files of Synapse processes differ in.
struct Process<'a> {
    current: &'a str,
    python: String,
    jemalloc: bool,
    memory: String,
    tasks: String,
    media_store_path: &'a str,
}

#[derive(Template)]
#[template(path = "synapse-main.service")]
struct Main<'a> {
    process: Process<'a>,
}

#[derive(Template)]
#[template(path = "synapse-worker@.service")]
struct Worker<'a> {
    process: Process<'a>,
}

#[derive(Template)]
#[template(path = "synapse-nginx.service")]
struct Nginx<'a> {
    current: &'a str,
}

#[derive(Template)]
#[template(path = "synapse-redis.service")]
struct Redis<'a> {
    current: &'a str,
    redis: &'a str,
}

#[derive(Template)]
#[template(path = "redis/redis.conf")]
struct RedisConfiguration {
    socket: String,
}

#[derive(Template)]
#[template(path = "host/sysusers.conf")]
struct Sysusers {
    redis: bool,
}

#[derive(Template)]
#[template(path = "host/tmpfiles.conf")]
struct Tmpfiles<'a> {
    media_store_path: &'a str,
    redis: bool,
}

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let (settings, workers) = (input.settings, input.has_workers());
    let media_store_path = settings.media_store_path.as_str();
    let unit = |name: &str| format!("host{}/{name}", paths::UNITS);

    let server_name = settings.server_name.as_str();
    sheaf.text(&unit(names::TARGET), Target { server_name }.render()?);
    let main = Main {
        process: process(input, &settings.limits.main_memory.show()),
    };
    sheaf.text(&unit(names::MAIN), main.render()?);
    let current = paths::CURRENT;
    sheaf.text(&unit(names::NGINX), Nginx { current }.render()?);
    if workers {
        let worker = Worker {
            process: process(input, &settings.limits.worker_memory.show()),
        };
        sheaf.text(&unit("synapse-worker@.service"), worker.render()?);
        let redis = &input.facts.redis;
        sheaf.text(&unit(names::REDIS), Redis { current, redis }.render()?);
        let socket = paths::redis_socket();
        sheaf.text("redis/redis.conf", RedisConfiguration { socket }.render()?);
    }
    sheaf.text(SYSUSERS, Sysusers { redis: workers }.render()?);
    let tmpfiles = Tmpfiles {
        media_store_path,
        redis: workers,
    };
    sheaf.text(TMPFILES, tmpfiles.render()?);
    Ok(())
}

fn process<'a>(input: &Input<'a>, memory: &str) -> Process<'a> {
    let settings: &Settings = input.settings;
    Process {
        current: paths::CURRENT,
        python: input.facts.python.to_string_lossy().into_owned(),
        jemalloc: settings.synapse.jemalloc && input.facts.jemalloc,
        memory: memory.to_owned(),
        tasks: settings.limits.tasks.show(),
        media_store_path: settings.media_store_path.as_str(),
    }
}

/// The units that are enabled and running.
pub(super) fn wanted(input: &Input) -> BTreeSet<String> {
    let workers = &input.topology.workers;
    let mut units: BTreeSet<String> = workers
        .iter()
        .map(|worker| names::worker(&worker.name))
        .collect();
    if input.has_workers() {
        units.insert(names::REDIS.to_owned());
    }
    units.extend([names::TARGET, names::MAIN, names::NGINX].map(str::to_owned));
    units
}
