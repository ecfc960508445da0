//! Our own TURN server: its configuration, which is composed with the secret shared with Synapse, and its unit.
//!
//! Options: coturn's turnserver(1) and README.turnserver; what calls need of them: Synapse's docs/turn-howto.md.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder};
use crate::deployment::endpoints::ServicePort;
use crate::settings::Settings;
use crate::special_ranges;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;
use std::net::IpAddr;

/// How many streams one user may have relayed at a time, ports permitting.
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
    /// The file with certificate and key.
    pair: String,
    has_old: bool,
}

#[derive(Template)]
#[template(path = "synapse-coturn-exporter.service")]
struct ExporterUnit<'a> {
    sandbox: Sandbox,
    current: &'a str,
    port: u16,
    /// coturn's own ports for clients.
    clients: String,
    first: u32,
    last: u32,
}

#[derive(Template)]
#[template(path = "coturn/exporter.py")]
struct Exporter {}

pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let coturn = &input.settings.coturn;
    let build = input.facts.coturn;
    let tls = input.settings.tls.certificate.is_some();
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

/// Whether it listens below port 1024.
pub(super) fn has_low_port(input: &Input) -> bool {
    let coturn = &input.settings.coturn;
    let tls = input.settings.tls.certificate.is_some();
    coturn.port.number() < 1024 || (tls && coturn.tls_port.number() < 1024)
}

/// What it binds on each address of the host, as `SocketBindAllow=` has it: its ports for clients, and those of relays.
pub(super) fn binds(input: &Input) -> Vec<String> {
    let coturn = &input.settings.coturn;
    let tls = input.settings.tls.certificate.is_some();
    let clients = [coturn.port.get()].into_iter();
    let clients = clients.chain(tls.then(|| coturn.tls_port.get()));
    let relays = format!("udp:{}-{}", coturn.min_port.get(), coturn.max_port.get());
    clients
        .flat_map(|port| ["tcp", "udp"].map(|transport| format!("{transport}:{port}")))
        .chain([relays])
        .collect()
}

/// Whether metrics are asked for that this coturn does not have.
pub(super) fn is_counted(input: &Input) -> bool {
    let coturn = &input.settings.coturn;
    coturn.enabled && coturn.metrics && !input.facts.coturn.metrics
}

/// What counts its relays instead, at the place where its own metrics would be.
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

/// The address of this host that calls are relayed from, where it is known.
pub fn relay_address(input: &Input) -> Option<IpAddr> {
    input.settings.coturn.internal_ip.or(input.facts.address)
}

/// What coturn tells people instead of its own address.
fn external(external: Option<IpAddr>, relay: Option<IpAddr>) -> Option<String> {
    let external = external.filter(|address| Some(*address) != relay)?;
    Some(match relay {
        Some(own) => format!("{external}/{own}"),
        None => external.to_string(),
    })
}

/// Ranges as coturn wants them: the first and the last address. One that ends with `::` would be every address to it
/// (ioa_addr_in_range() in its ns_turn_ioaddr.c); that address itself it refuses anyway.
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

/// Where clients find TURN servers: as the settings say, or at our own.
pub(super) fn uris(settings: &Settings) -> Vec<String> {
    if !settings.turn.uris.is_empty() || !settings.coturn.enabled {
        let uris = settings.turn.uris.iter();
        return uris.map(|uri| uri.as_str().to_owned()).collect();
    }
    // The name that clients know this host by.
    let host = match &settings.public_baseurl {
        Some(url) => url.host(),
        None => settings.server_name.host(),
    };
    let (port, tls_port) = (settings.coturn.port.get(), settings.coturn.tls_port.get());
    let mut uris = vec![
        format!("turn:{host}:{port}?transport=udp"),
        format!("turn:{host}:{port}?transport=tcp"),
    ];
    if settings.tls.certificate.is_some() {
        // Networks that let nothing else through often let this one.
        uris.push(format!("turns:{host}:{tls_port}?transport=tcp"));
    }
    uris
}
