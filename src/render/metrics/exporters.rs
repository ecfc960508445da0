//! The exporters: each a small program on 127.0.0.1 that asks another one and tells Prometheus.

use super::super::sandbox::Sandbox;
use super::super::{Input, StateBuilder, filters};
use super::own_postgres_wanted;
use crate::deployment::endpoints::ServicePort;
use crate::state::accounts;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::collections::BTreeMap;
use std::net::IpAddr;

#[derive(Template)]
#[template(path = "synapse-nginx-exporter.service")]
struct Nginx<'a> {
    sandbox: Sandbox,
    program: &'a str,
    status_port: u16,
    port: u16,
}

#[derive(Template)]
#[template(path = "synapse-nginx-log-exporter.service")]
struct NginxLog<'a> {
    sandbox: Sandbox,
    current: &'a str,
    access_log: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "mtail/nginx.mtail")]
struct Program {}

#[derive(Template)]
#[template(path = "synapse-redis-exporter.service")]
struct Redis<'a> {
    sandbox: Sandbox,
    program: &'a str,
    port: u16,
    server: Server<'a>,
    /// An assignment for the environment, like the others below.
    address: String,
}

#[derive(Template)]
#[template(path = "synapse-postgres-exporter.service")]
struct Postgres<'a> {
    sandbox: Sandbox,
    program: &'a str,
    port: u16,
    server: Server<'a>,
    address: String,
}

/// Composed files with what the exporters of somebody else's servers log in with.
const REDIS_PASSWORDS: &str = "redis-exporter.json";
const POSTGRES_PASSWORDS: &str = "postgres-exporter.pgpass";

/// Whose server an exporter asks.
enum Server<'a> {
    /// One of this host, over its socket.
    Own,
    Other(External<'a>),
}

/// How somebody else's server is reached, besides its address.
struct External<'a> {
    user: Option<String>,
    /// A file that systemd hands over.
    passwords: Option<String>,
    ca_file: Option<&'a str>,
    /// The user of this host that the server knows, where it asks for nothing else.
    peer: Option<&'a str>,
}

/// nginx's own counters.
pub fn nginx(builder: &mut StateBuilder) -> Result<()> {
    let endpoints = builder.input.endpoints();
    let unit = Nginx {
        sandbox: builder.sandbox(units::NGINX_EXPORTER)?,
        program: &builder.input.facts.exporters.nginx,
        status_port: endpoints.service(ServicePort::NginxStatus),
        port: endpoints.service(ServicePort::NginxExporter),
    };
    builder.unit(units::NGINX_EXPORTER, unit.render()?);
    Ok(())
}

/// What nginx's access log tells.
pub fn nginx_log(builder: &mut StateBuilder) -> Result<()> {
    let unit = NginxLog {
        sandbox: builder.sandbox(units::NGINX_LOG_EXPORTER)?,
        current: paths::CURRENT,
        access_log: paths::ACCESS_LOG,
        port: port(builder.input, ServicePort::NginxLogExporter),
    };
    builder.unit(units::NGINX_LOG_EXPORTER, unit.render()?);
    builder.text("mtail/nginx.mtail", Program {}.render()?);
    Ok(())
}

/// Redis, our own over its socket or the one of the settings. Names of the environment: redis_exporter's README.
pub fn redis(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let redis = &input.settings.redis;
    let (server, address) = match &redis.host {
        None => (Server::Own, format!("unix://{}", paths::redis_socket())),
        Some(host) => {
            let scheme = if redis.tls { "rediss" } else { "redis" };
            let place = authority(host.as_str(), redis.port.number());
            let user = redis.username.as_ref().map(|user| user.as_str());
            let password = input.has_secret("redis_password");
            if password {
                // Passwords by address. Releases differ in whether they look with the user in it, as Go's net/url writes one.
                let named =
                    user.map(|user| format!("{scheme}://{}@{place}", encoded(user, b"-_.~$&+,;=")));
                let keys = named.into_iter().chain([format!("{scheme}://{place}")]);
                let passwords: BTreeMap<_, _> = keys.map(|key| (key, "@redis_password@")).collect();
                let text = serde_json::to_string(&passwords)?;
                builder.composed(REDIS_PASSWORDS, text);
            }
            let external = External {
                user: user.map(|user| format!("REDIS_USER={user}")),
                passwords: password.then(|| paths::secret(REDIS_PASSWORDS)),
                ca_file: redis.ca_file.as_ref().map(|file| file.as_str()),
                peer: None,
            };
            (Server::Other(external), format!("{scheme}://{place}"))
        }
    };
    let unit = Redis {
        sandbox: builder.sandbox(units::REDIS_EXPORTER)?,
        program: &input.facts.exporters.redis,
        port: port(input, ServicePort::RedisExporter),
        server,
        address: format!("REDIS_ADDR={address}"),
    };
    builder.unit(units::REDIS_EXPORTER, unit.render()?);
    Ok(())
}

/// PostgreSQL: the host's own as a role that may read statistics only, another one as Synapse's own role. Names of
/// the environment: postgres_exporter's README.
pub fn postgres(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let database = &input.settings.database;
    let (user, host, server) = match &database.host {
        Some(host) if !own_postgres_wanted(input) => {
            let password = input.has_secret("postgres_password");
            if password {
                builder.composed(POSTGRES_PASSWORDS, "*:*:*:*:@postgres_password@".to_owned());
            }
            let other = External {
                user: None,
                passwords: password.then(|| paths::secret(POSTGRES_PASSWORDS)),
                ca_file: None,
                // PostgreSQL behind a socket may know Synapse by its system user.
                peer: (host.is_socket_directory() && !password)
                    .then(|| input.settings.synapse.user.as_str()),
            };
            (database.user.as_str(), host.as_str(), Server::Other(other))
        }
        _ => (
            accounts::POSTGRES_EXPORTER.name,
            paths::POSTGRES_SOCKETS,
            Server::Own,
        ),
    };
    let unit = Postgres {
        sandbox: builder.sandbox(units::POSTGRES_EXPORTER)?,
        program: &input.facts.exporters.postgres,
        port: port(input, ServicePort::PostgresExporter),
        server,
        address: format!(
            "DATA_SOURCE_NAME=user={user} host={} port={} dbname={} sslmode={}",
            quoted(host),
            database.port.number(),
            database.name.as_str(),
            tls_mode(host),
        ),
    };
    builder.unit(units::POSTGRES_EXPORTER, unit.render()?);
    Ok(())
}

fn port(input: &Input, service: ServicePort) -> u16 {
    input.endpoints().service(service)
}

/// How PostgreSQL is spoken to. The exporter's library knows no `prefer`: over a network it asks for TLS, on this
/// host not.
fn tls_mode(host: &str) -> &'static str {
    let loopback = |address: IpAddr| address.is_loopback();
    let near = host.starts_with('/') || host == "localhost" || host.parse().is_ok_and(loopback);
    if near { "disable" } else { "require" }
}

/// A value in PostgreSQL's connection string (manual, 32.1.1.1); the exporter itself cannot do with blanks in one.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Host and port in a URI.
fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Percent-encoded but for letters, digits and these (RFC 3986, 2.1).
fn encoded(text: &str, plain: &[u8]) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() || plain.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
