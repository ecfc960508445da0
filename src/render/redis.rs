//! Our own Redis: one small file, and its unit.

use super::Sheaf;
use super::sandbox::Sandbox;
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

pub(super) fn render(sheaf: &mut Sheaf) -> Result<()> {
    let input = sheaf.input;
    let unit = Redis {
        sandbox: sheaf.sandbox(units::REDIS)?,
        current: paths::CURRENT,
        redis: &input.facts.redis,
    };
    sheaf.unit(units::REDIS, unit.render()?);
    let configuration = RedisConfiguration {
        socket: paths::redis_socket(),
        memory: input.settings.redis.memory.bytes(),
    };
    sheaf.text("redis/redis.conf", configuration.render()?);
    Ok(())
}
