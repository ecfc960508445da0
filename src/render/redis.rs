//! This server's own Redis: its configuration file and its unit.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-redis.service")]
struct Redis<'a> {
    sandbox: Sandbox,
    current: &'a str,
    redis: &'a str,
}

#[derive(Template)]
#[template(path = "redis/redis.conf")]
struct RedisConfiguration {
    socket: String,
    memory: u64,
}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.has_workers() && input.settings.redis.host.is_none()
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let unit = Redis {
        sandbox: builder.sandbox(units::REDIS)?,
        current: paths::CURRENT,
        redis: &input.facts.redis,
    };
    builder.unit(units::REDIS, unit.render()?);
    let configuration = RedisConfiguration {
        socket: paths::redis_socket(),
        memory: input.settings.redis.memory.bytes(),
    };
    builder.text("redis/redis.conf", configuration.render()?);
    Ok(())
}
