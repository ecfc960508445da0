//! The unit of nginx: its network access, the sockets that it inherits, and the directories that it writes to.

use super::super::{Input, StateBuilder, network as access};
use super::listen::{self, plain_ports, proxied_ports, tls_ports};
use super::site;
use crate::render::sandbox::{Network, Sandbox};
use crate::state::{accounts, paths, units};
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-nginx.service")]
struct Unit<'a> {
    sandbox: Sandbox,
    current: &'a str,
    /// The Unix socket for another reverse proxy.
    socket: Option<&'a str>,
    files: u32,
    tls: bool,
    held: Option<Held>,
}

/// The sockets that systemd passes to nginx.
struct Held {
    /// The descriptor numbers in the format in which nginx inherits sockets from a previous nginx (its
    /// `ngx_add_inherited_sockets`).
    descriptors: String,
    /// The maximum number of checks for the end of in-flight requests, at twenty checks per second.
    drain: u64,
}

/// Adds the unit, and the directory of its Unix socket.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    if let Some(directory) = socket_directory(builder.input) {
        builder.directory(directory, accounts::NGINX.name);
    }
    let settings = &builder.input.settings;
    let socket = settings.nginx.listen_unix_socket.as_ref();
    let unit = Unit {
        sandbox: builder.sandbox(units::NGINX)?,
        current: paths::CURRENT,
        socket: socket.map(|path| path.as_str()),
        files: builder.input.open_files(&builder.input.facts.size),
        tls: settings.tls.is_on(),
        held: settings.sockets.held.then(|| inherit(builder.input)),
    };
    builder.unit(units::NGINX, unit.render()?);
    Ok(())
}

/// The directory of the Unix socket for another reverse proxy, if nginx is to own it.
fn socket_directory<'i>(input: &Input<'i>) -> Option<&'i str> {
    let deployment = input.deployment;
    let socket = deployment.settings.nginx.listen_unix_socket.as_ref()?;
    let directory = socket.as_str().rsplit_once('/')?.0;
    (!deployment.keeps_socket_directory()).then_some(directory)
}

/// The network access of nginx: what its own ports, the processes of Synapse, the Matrix Authentication Service and the
/// administrator's locations need.
pub(in crate::render) fn network(input: &Input) -> Network {
    let sockets = &input.settings.sockets;
    let ports = match sockets.held {
        true => Network::None,
        false => Network::Host,
    };
    let processes = match (input.has_other_hosts(), sockets.public) {
        (true, _) => Network::Hosts,
        (false, true) => Network::None,
        (false, false) => Network::Loopback,
    };
    let mas = match access::to_mas(input) {
        Network::Only(_) if input.has_other_hosts() => Network::HostsAndServices,
        access => access,
    };
    ports.max(processes).max(mas).max(site::network(input))
}

/// Whether nginx itself binds a port below 1024.
pub(in crate::render) fn binds_low_port(input: &Input) -> bool {
    let settings = &input.settings;
    let ports = [
        plain_ports(settings),
        tls_ports(settings),
        proxied_ports(settings),
    ]
    .concat();
    let low = settings.has_challenge_port() || ports.iter().any(|port| *port < 1024);
    !settings.sockets.held && low
}

/// The directories that nginx writes to: large bodies, logs, and the Unix socket for another reverse proxy.
pub(in crate::render) fn writes(input: &Input) -> Vec<String> {
    let own = [paths::NGINX, paths::LOGS].into_iter();
    let own = own.chain(socket_directory(input));
    own.map(str::to_owned).collect()
}

/// systemd passes descriptors starting at 3, in the order of the socket unit (sd_listen_fds(3)).
fn inherit(input: &Input) -> Held {
    let numbers = 3..3 + listen::held(input).len();
    Held {
        descriptors: numbers.map(|number| format!("{number};")).collect(),
        drain: input.settings.sockets.drain_timeout.seconds() * 20,
    }
}
