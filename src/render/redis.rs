//! This server's own Redis: its configuration file and its unit.

use super::sandbox::Sandbox;
use super::service::Ports;
use super::{Input, StateBuilder};
use crate::deployment::endpoints::ServicePort;
use crate::deployment::secrets::{OWN_REDIS_PASSWORD, REDIS_ACL};
use crate::state::paths;
use crate::state::ports::Transport;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::SocketAddr;

#[derive(Template)]
#[template(path = "synapse-redis.service")]
struct Redis<'a> {
    sandbox: Sandbox,
    current: &'a str,
    redis: &'a str,
    /// The file with its users, if it serves other hosts.
    users: Option<String>,
}

#[derive(Template)]
#[template(path = "redis/redis.conf")]
struct RedisConfiguration {
    socket: String,
    /// The address for other hosts.
    address: Option<SocketAddr>,
    memory: u64,
}

/// What the user of every connection may do: use keys and channels, but not control Redis itself.
const ALLOWED: &str = "~* &* +@all -@admin -@dangerous +info";

/// The port for other hosts.
pub(super) const PORTS: &[Ports] = &[Ports {
    setting: "tcp_ports",
    bound: |input| {
        address(input)
            .map(|address| (Transport::Tcp, address))
            .into_iter()
            .collect()
    },
}];

pub(super) fn is_wanted(input: &Input) -> bool {
    input.has_workers() && input.settings.redis.host.is_none()
}

/// The address at which it serves other hosts, if there are any.
pub(super) fn address(input: &Input) -> Option<SocketAddr> {
    let address = input.settings.address.filter(|_| input.opens_redis())?;
    let port = input.endpoints().service(ServicePort::Redis);
    Some(SocketAddr::new(address, port))
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let unit = Redis {
        sandbox: builder.sandbox(units::REDIS)?,
        current: paths::CURRENT,
        redis: &input.facts.redis,
        users: input.opens_redis().then(|| paths::secret(REDIS_ACL)),
    };
    builder.unit(units::REDIS, unit.render()?);
    if input.opens_redis() {
        let users = format!("user default on >@{OWN_REDIS_PASSWORD}@ {ALLOWED}");
        builder.composed(REDIS_ACL, users);
    }
    let configuration = RedisConfiguration {
        socket: paths::redis_socket(),
        address: address(input),
        memory: input.settings.redis.memory.bytes(),
    };
    builder.text("redis/redis.conf", configuration.render()?);
    Ok(())
}
