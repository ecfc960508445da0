//! The exporters: each is a small program on 127.0.0.1 that queries another program and serves its metrics to
//! Prometheus.

use super::super::sandbox::Sandbox;
use super::super::{Input, StateBuilder, filters};
use super::own_postgres_wanted;
use crate::deployment::endpoints::ServicePort;
use crate::settings::types::SslMode;
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
    /// An assignment of an environment variable, like the others below.
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

/// Composed files with the credentials for external servers.
const REDIS_PASSWORDS: &str = "redis-exporter.json";
const POSTGRES_PASSWORDS: &str = "postgres-exporter.pgpass";

/// The server that an exporter queries.
enum Server<'a> {
    /// This host's own server, over its Unix socket.
    Own,
    Other(External<'a>),
}

/// The means of access to an external server, besides its address.
struct External<'a> {
    user: Option<String>,
    /// The password file that systemd passes (`LoadCredential=`).
    passwords: Option<String>,
    ca_file: Option<&'a str>,
    /// The system user that the server knows (peer authentication), if it requires no password.
    peer: Option<&'a str>,
}

/// Adds the exporter of nginx's stub_status page.
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

/// Adds the exporter of metrics from nginx's access log.
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

/// Adds the exporter of Redis, this server's own over its Unix socket or the one in the settings. Names of environment
/// variables: redis_exporter's README.
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
                // Passwords by address. Releases differ in whether the address that they look up contains the user, in
                // the form of Go's net/url.
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

/// Adds the exporter of PostgreSQL. It connects to the host's own PostgreSQL with a role that may only read statistics,
/// and to an external one with Synapse's role. Names of environment variables: postgres_exporter's README.
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
                ca_file: database.sslrootcert.as_ref().map(|file| file.as_str()),
                // PostgreSQL behind a Unix socket may identify Synapse by its system user.
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
            database
                .sslmode
                .filter(|_| !own_postgres_wanted(input))
                .and_then(supported)
                .unwrap_or_else(|| tls_mode(host)),
        ),
    };
    builder.unit(units::POSTGRES_EXPORTER, unit.render()?);
    Ok(())
}

fn port(input: &Input, service: ServicePort) -> u16 {
    input.endpoints().service(service)
}

/// The `sslmode` of the settings, if the exporter's library supports it.
fn supported(mode: SslMode) -> Option<&'static str> {
    match mode {
        SslMode::Disable => Some("disable"),
        SslMode::Require => Some("require"),
        SslMode::VerifyCa => Some("verify-ca"),
        SslMode::VerifyFull => Some("verify-full"),
        SslMode::Allow | SslMode::Prefer => None,
    }
}

/// The default `sslmode` for PostgreSQL. The exporter's library does not support `prefer`, so TLS is required over a network
/// and off on this host.
fn tls_mode(host: &str) -> &'static str {
    let loopback = |address: IpAddr| address.is_loopback();
    let near = host.starts_with('/') || host == "localhost" || host.parse().is_ok_and(loopback);
    if near { "disable" } else { "require" }
}

/// Quotes a value in PostgreSQL's connection string (manual, 32.1.1.1). The exporter itself cannot parse a value with
/// blanks.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    if value.chars().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Host and port in the syntax of a URI.
fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// Percent-encodes everything except letters, digits and the bytes in `plain` (RFC 3986, 2.1).
fn encoded(text: &str, plain: &[u8]) -> String {
    let byte = |byte: u8| match byte.is_ascii_alphanumeric() || plain.contains(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
