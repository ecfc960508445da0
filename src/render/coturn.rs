//! This server's own TURN server: its unit and its configuration, which is composed with the secret shared with
//! Synapse.
//!
//! Options: coturn's turnserver(1) and README.turnserver; requirements of calls: Synapse's docs/turn-howto.md.

use super::sandbox::Sandbox;
use super::service::{Ports, local};
use super::{Input, StateBuilder};
use crate::deployment::endpoints::ServicePort;
use crate::settings::Settings;
use crate::special_ranges;
use crate::state::paths;
use crate::state::ports::Transport;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The maximum number of streams that coturn relays per user at the same time, if there are enough ports.
const STREAMS: u32 = 12;

#[derive(Template)]
#[template(path = "synapse-coturn.service")]
struct Unit {
    sandbox: Sandbox,
    configuration: String,
    notify: bool,
    tls: bool,
}

#[derive(Template)]
#[template(path = "coturn/turnserver.conf")]
struct Configuration<'a> {
    realm: &'a str,
    port: u16,
    listen: Option<IpAddr>,
    relay: Option<IpAddr>,
    external: Option<String>,
    min_port: u32,
    max_port: u32,
    ports: u32,
    user_quota: u32,
    tls: Option<Tls>,
    metrics: bool,
    metrics_port: u16,
    allowed: Vec<IpAddr>,
    denied: Vec<String>,
}

struct Tls {
    port: u16,
    /// The file that contains certificate and key.
    pair: String,
    has_old: bool,
}

#[derive(Template)]
#[template(path = "synapse-coturn-exporter.service")]
struct ExporterUnit<'a> {
    sandbox: Sandbox,
    current: &'a str,
    port: u16,
    /// coturn's ports for clients.
    clients: String,
    first: u32,
    last: u32,
}

#[derive(Template)]
#[template(path = "coturn/exporter.py")]
struct Exporter {}

/// The ports that coturn binds, one row per setting.
#[rustfmt::skip]
pub(super) const PORTS: &[Ports] = &[
    Ports { setting: "coturn.port",     bound: |input| clients(input, Some(input.settings.coturn.port.number())) },
    Ports { setting: "coturn.tls_port", bound: |input| clients(input, input.settings.tls.is_on().then(|| input.settings.coturn.tls_port.number())) },
    Ports { setting: "tcp_ports",       bound: metrics_port },
];

/// A port for clients, which coturn serves over TCP and UDP.
fn clients(input: &Input, port: Option<u16>) -> Vec<(Transport, SocketAddr)> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let address = input.settings.coturn.internal_ip.unwrap_or(any);
    let on = |transport| Some((transport, SocketAddr::new(address, port?)));
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .filter_map(on)
        .collect()
}

/// The port of coturn's own metrics.
fn metrics_port(input: &Input) -> Vec<(Transport, SocketAddr)> {
    match input.settings.coturn.metrics && input.facts.coturn.metrics {
        true => local(input.endpoints().service(ServicePort::Coturn)),
        false => Vec::new(),
    }
}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.coturn.enabled
}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let coturn = &input.settings.coturn;
    let build = input.facts.coturn;
    let tls = input.settings.tls.is_on();
    let unit = Unit {
        sandbox: builder.sandbox(units::COTURN)?,
        configuration: paths::secret("turnserver.conf"),
        notify: build.notifies,
        tls,
    };
    builder.unit(units::COTURN, unit.render()?);

    let relay = relay_address(input);
    let ports = coturn.max_port.get() - coturn.min_port.get() + 1;
    let configuration = Configuration {
        realm: input.settings.server_name.as_str(),
        port: coturn.port.number(),
        listen: coturn.internal_ip,
        relay,
        external: external(coturn.external_ip, relay),
        min_port: coturn.min_port.get(),
        max_port: coturn.max_port.get(),
        ports,
        user_quota: ports.min(STREAMS),
        tls: tls.then(|| Tls {
            port: coturn.tls_port.number(),
            pair: paths::certificate("synapse-coturn"),
            has_old: build.old_tls,
        }),
        metrics: coturn.metrics && build.metrics,
        metrics_port: input.endpoints().service(ServicePort::Coturn),
        allowed: relay
            .into_iter()
            .chain(coturn.external_ip)
            .filter(|address| special_ranges::is_special(*address) && !address.is_loopback())
            .collect(),
        denied: denied(),
    };
    builder.composed("turnserver.conf", configuration.render()?);
    Ok(())
}

/// Whether coturn listens on a port below 1024.
pub(super) fn has_low_port(input: &Input) -> bool {
    let coturn = &input.settings.coturn;
    let tls = input.settings.tls.is_on();
    coturn.port.number() < 1024 || (tls && coturn.tls_port.number() < 1024)
}

/// The addresses that coturn binds on each address of the host, in the syntax of `SocketBindAllow=`: its ports for
/// clients and its relay ports.
pub(super) fn binds(input: &Input) -> Vec<String> {
    let coturn = &input.settings.coturn;
    let tls = input.settings.tls.is_on();
    let clients = [coturn.port.get()].into_iter();
    let clients = clients.chain(tls.then(|| coturn.tls_port.get()));
    let relays = format!("udp:{}-{}", coturn.min_port.get(), coturn.max_port.get());
    clients
        .flat_map(|port| ["tcp", "udp"].map(|transport| format!("{transport}:{port}")))
        .chain([relays])
        .collect()
}

/// Whether metrics are requested that the installed coturn does not provide.
pub(super) fn is_counted(input: &Input) -> bool {
    let coturn = &input.settings.coturn;
    coturn.enabled && coturn.metrics && !input.facts.coturn.metrics
}

/// Adds the program that counts coturn's relays instead. It listens on the port where coturn's own metrics would be.
pub(super) fn exporter(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let coturn = &input.settings.coturn;
    let unit = ExporterUnit {
        sandbox: builder.sandbox(units::COTURN_EXPORTER)?,
        current: paths::CURRENT,
        port: input.endpoints().service(ServicePort::Coturn),
        clients: format!("{},{}", coturn.port.get(), coturn.tls_port.get()),
        first: coturn.min_port.get(),
        last: coturn.max_port.get(),
    };
    builder.unit(units::COTURN_EXPORTER, unit.render()?);
    builder.text("coturn/exporter.py", Exporter {}.render()?);
    Ok(())
}

/// The local address from which calls are relayed, if it is known.
pub fn relay_address(input: &Input) -> Option<IpAddr> {
    input.settings.coturn.internal_ip.or(input.facts.address)
}

/// The address that coturn announces to clients instead of its own, in coturn's syntax; `None` if both are the same.
fn external(external: Option<IpAddr>, relay: Option<IpAddr>) -> Option<String> {
    let external = external.filter(|address| Some(*address) != relay)?;
    Some(match relay {
        Some(own) => format!("{external}/{own}"),
        None => external.to_string(),
    })
}

/// Denied ranges in coturn's syntax: the first and the last address. coturn would read a range that ends with `::` as
/// all addresses (ioa_addr_in_range() in its ns_turn_ioaddr.c), so that range is left out; coturn refuses the address
/// `::` in any case.
fn denied() -> Vec<String> {
    special_ranges::special()
        .map(|range| (range.network(), range.broadcast()))
        .filter(|(_, last)| !last.is_unspecified())
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect()
}

/// The URIs of TURN servers for clients: those in the settings, or those of this server's own coturn.
pub(super) fn uris(settings: &Settings) -> Vec<String> {
    if !settings.turn.uris.is_empty() || !settings.coturn.enabled {
        let uris = settings.turn.uris.iter();
        return uris.map(|uri| uri.as_str().to_owned()).collect();
    }
    // The host name under which clients know this host.
    let host = match &settings.public_baseurl {
        Some(url) => url.host(),
        None => settings.server_name.host(),
    };
    let (port, tls_port) = (settings.coturn.port.get(), settings.coturn.tls_port.get());
    let mut uris = vec![
        format!("turn:{host}:{port}?transport=udp"),
        format!("turn:{host}:{port}?transport=tcp"),
    ];
    if settings.tls.is_on() {
        // Networks that block everything else often allow TLS.
        uris.push(format!("turns:{host}:{tls_port}?transport=tcp"));
    }
    uris
}
