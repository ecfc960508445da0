//! nginx: the routing table as a map over method and raw path, and an upstream for each group of processes.

mod challenge;
mod errors;
mod limits;
mod listen;
mod logs;
mod mas;
mod site;
mod support;
mod unit;
mod upstreams;
mod user_lookup;

pub(super) use listen::PORTS;
pub use listen::{challenge_listeners, plain_listeners, proxied_listeners, tls_listeners};
pub(super) use logs::{is_written as logs_requests, keeps_requests};
pub(super) use unit::{binds_low_port, network, writes};

use super::metrics::{SYNAPSE_PATH, over_socket, path_of};
use super::sandbox::Network;
use super::{Input, StateBuilder, filters};
use crate::deployment::endpoints::ServicePort;
use crate::settings::Settings;
use crate::settings::buffers::Buffers;
use crate::settings::value::Scalar;
use crate::state::accounts;
use crate::state::nginx_fingerprint::{FINGERPRINT_PATH, fingerprint};
use crate::state::paths;
use anyhow::Result;
use askama::Template;
use challenge::Challenge;
use errors::ErrorAnswer;
use limits::{Limits, SYNAPSE};
use listen::Way;
use logs::Logs;
use mas::Mas;
use site::Site;
use upstreams::{Upstream, holds};
use user_lookup::UserLookup;

#[derive(Template)]
#[template(path = "nginx/nginx.conf")]
struct Nginx<'a> {
    settings: &'a Settings,
    buffers: Buffers,
    /// In seconds; 0 closes a connection after one request.
    client_keepalive: u64,
    routes: Vec<Route<'a>>,
    upstreams: Vec<Upstream<'a>>,
    /// The names of upstreams for which main can answer instead, as alternatives of a regular expression. Empty if
    /// bodies are not buffered, because nginx cannot resend the part of a body that it has passed on.
    fallback: String,
    /// The file that contains certificate and key.
    pair: String,
    /// The proofs for the authority of the certificate.
    challenge: Challenge,
    /// The address of this server that other homeservers receive.
    delegation: Option<String>,
    /// The contents of /.well-known/matrix/support, in JSON without `$` and `'`.
    support: Option<String>,
    /// The port after the host name in a redirect to HTTPS, with its colon; empty for the default port.
    secure_port: String,
    /// The port of nginx's status page, open to this host only. It exists with metrics, and whenever systemd opens
    /// nginx's ports, so that enabling or disabling metrics does not change the sockets.
    status: Option<u16>,
    metrics: Option<Metrics>,
    logs: Option<Logs>,
    site: Option<Site>,
    /// Whether the web client has the start page.
    web: bool,
    /// The ways into nginx, each a `server` with the same locations.
    ways: Vec<Way>,
    /// Whether one of them expects the PROXY protocol.
    proxied: bool,
    /// The variable that is empty if no proxy passed on a request.
    forwarded: &'static str,
    mas: Option<Mas<'a>>,
    fingerprint_path: &'static str,
    /// The maximum number of connections of each nginx process.
    connections: u32,
    /// The limit of open files of each nginx process.
    files: u32,
    limits: Limits,
    /// The maximum number of concurrent requests per client; 0 for no limit.
    clients: u32,
    errors: &'static [ErrorAnswer],
    error_at: &'static str,
    /// The status inside nginx of a preflight request that nginx answers itself.
    preflight: u16,
    /// How nginx finds the user of a token that does not contain it; `None` if no request needs it.
    lookup: Option<UserLookup>,
    /// The status inside nginx of a request whose user nginx asks for first.
    ask_user: u16,
    /// Whether some processes run on other hosts.
    other_hosts: bool,
    /// The value of the header `Connection` of requests to Synapse.
    upstream_connection: &'static str,
    /// The fingerprint of the rendered configuration; empty while it is computed.
    fingerprint: String,
}

/// The metrics that nginx serves.
struct Metrics {
    host: &'static str,
    /// Processes that serve metrics over their Unix sockets: the path at nginx, and the URL that nginx requests.
    processes: Vec<(String, String)>,
}

/// A line of the map, which is matched against `METHOD /raw/path`.
struct Route<'a> {
    condition: String,
    upstream: &'a str,
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let settings = &builder.input.settings;
    let table = builder.input.routes();
    let mas = Mas::of(builder.input);
    let ways = listen::ways(builder.input)?;
    let proxied = ways.iter().any(|way| way.proxied);
    let site = Site::new(builder.input);
    let connections = builder.input.sizes().worker_connections;
    let mut nginx = Nginx {
        settings,
        buffers: settings.nginx.buffers(),
        client_keepalive: match settings.nginx.client_keepalive {
            true => settings.nginx.client_keepalive_timeout.seconds(),
            false => 0,
        },
        routes: table
            .routes
            .iter()
            .map(|route| Route {
                condition: format!("~{}", route.expression()),
                upstream: &route.upstream,
            })
            .collect(),
        upstreams: upstreams::of(builder.input, &table, mas.as_ref()),
        fallback: upstreams::with_fallback(settings, &table),
        pair: paths::certificate(accounts::NGINX.name),
        challenge: Challenge::new(builder.input)?,
        delegation: delegation(settings),
        support: support::document(&settings.support),
        secure_port: match settings.tls.port.number() {
            443 => String::new(),
            port => format!(":{port}"),
        },
        status: status(builder.input),
        metrics: settings.metrics.enabled.then(|| metrics(builder.input)),
        logs: Logs::new(builder.input),
        web: settings.nginx.web_root.is_some(),
        site,
        proxied,
        forwarded: match proxied {
            true => "$synapse_forwarded",
            false => "$http_x_forwarded_for",
        },
        ways,
        mas,
        fingerprint_path: FINGERPRINT_PATH,
        connections,
        files: builder.input.open_files(&builder.input.facts.size),
        limits: SYNAPSE,
        clients: settings.nginx.connections_per_client.get(),
        errors: errors::ANSWERS,
        error_at: errors::ERROR_AT,
        preflight: errors::PREFLIGHT,
        lookup: UserLookup::new(settings, &table),
        ask_user: errors::ASK_USER,
        other_hosts: builder.input.has_other_hosts(),
        upstream_connection: match settings.nginx.upstream_keepalive && !holds(builder.input) {
            true => "\"\"",
            false => "close",
        },
        fingerprint: String::new(),
    };
    let listen = nginx.ways.iter().find(|way| !way.proxied);
    let listen = listen.map_or("", |way| way.listens.as_str());
    nginx.fingerprint = fingerprint(&nginx.render()?, listen);
    builder.text("nginx/nginx.conf", nginx.render()?);
    for way in &nginx.ways {
        builder.text(&format!("nginx/{}", way.listen), way.listens.clone());
    }
    if let Some(own) = &nginx.challenge.own {
        builder.text(&format!("nginx/{}", own.name), own.text.clone());
    }
    if let Some(site) = &nginx.site {
        site::render(builder, site)?;
    }
    unit::render(builder)?;
    listen::render_socket(builder)
}

/// The port of nginx's status page, if there is one.
pub fn status(input: &Input) -> Option<u16> {
    let wanted = input.settings.metrics.enabled || input.settings.sockets.held;
    wanted.then(|| input.endpoints().service(ServicePort::NginxStatus))
}

fn metrics(input: &Input) -> Metrics {
    let endpoints = input.endpoints();
    let names = input.workers().map(|worker| worker.name.as_str());
    Metrics {
        host: paths::HOST_METRICS,
        processes: names
            .chain(["main"])
            .filter(|_| over_socket(input))
            .map(|name| {
                let place = endpoints.public(name).upstream();
                (path_of(name), format!("http://{place}:{SYNAPSE_PATH}"))
            })
            .collect(),
    }
}

/// The host and port of `public_baseurl`, for other homeservers.
fn delegation(settings: &Settings) -> Option<String> {
    let url = settings.public_baseurl.as_ref()?;
    settings.serve_server_wellknown.then(|| url.for_servers())
}
