//! Every port that the units of the desired state bind, with the unit that binds it and the setting that changes it.

use super::{Input, nginx, processes, services};
use crate::deployment::endpoints::{ServicePort, loopback};
use crate::state::ports::{BoundPort, Transport};
use crate::state::units;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The ports of a unit, with the setting that changes them.
struct Row {
    unit: &'static str,
    setting: &'static str,
    ports: fn(&Input) -> Vec<(Transport, SocketAddr)>,
}

static ROWS: &[Row] = &[
    Row {
        unit: units::NGINX,
        setting: "http_port",
        ports: |input| outside(input, Some(input.settings.http_port.number())),
    },
    Row {
        unit: units::NGINX,
        setting: "http_federation_port",
        ports: |input| {
            outside(
                input,
                input
                    .settings
                    .http_federation_port
                    .map(|port| port.number()),
            )
        },
    },
    Row {
        unit: units::NGINX,
        setting: "tls.port",
        ports: |input| outside(input, nginx::tls_ports(&input.settings).first().copied()),
    },
    Row {
        unit: units::NGINX,
        setting: "tls.federation_port",
        ports: |input| outside(input, nginx::tls_ports(&input.settings).get(1).copied()),
    },
    Row {
        unit: units::NGINX,
        setting: "tcp_ports",
        ports: |input| nginx::status(input).map(here).unwrap_or_default(),
    },
    Row {
        unit: units::NGINX_EXPORTER,
        setting: "tcp_ports",
        ports: |input| service(input, ServicePort::NginxExporter),
    },
    Row {
        unit: units::NGINX_LOG_EXPORTER,
        setting: "tcp_ports",
        ports: |input| service(input, ServicePort::NginxLogExporter),
    },
    Row {
        unit: units::REDIS_EXPORTER,
        setting: "tcp_ports",
        ports: |input| service(input, ServicePort::RedisExporter),
    },
    Row {
        unit: units::POSTGRES_EXPORTER,
        setting: "tcp_ports",
        ports: |input| service(input, ServicePort::PostgresExporter),
    },
    Row {
        unit: units::PROMETHEUS,
        setting: "metrics.prometheus_port",
        ports: |input| here(input.settings.metrics.prometheus_port.number()),
    },
    Row {
        unit: units::COTURN,
        setting: "coturn.port",
        ports: |input| turn(input, Some(input.settings.coturn.port.number())),
    },
    Row {
        unit: units::COTURN,
        setting: "coturn.tls_port",
        ports: |input| {
            let tls = input.settings.tls.certificate.is_some();
            turn(input, tls.then(|| input.settings.coturn.tls_port.number()))
        },
    },
    Row {
        unit: units::COTURN,
        setting: "tcp_ports",
        ports: |input| match input.settings.coturn.metrics && input.facts.coturn.metrics {
            true => service(input, ServicePort::Coturn),
            false => Vec::new(),
        },
    },
    Row {
        unit: units::COTURN_EXPORTER,
        setting: "tcp_ports",
        ports: |input| service(input, ServicePort::Coturn),
    },
];

/// All ports that the units of the desired state bind, in sorted order.
pub fn bound(input: &Input) -> Vec<BoundPort> {
    let wanted = |unit: &str| services::wanted(input).any(|service| service.unit == unit);
    let of_services = ROWS.iter().filter(|row| wanted(row.unit)).flat_map(|row| {
        let bound = |(transport, address)| BoundPort {
            transport,
            address,
            unit: row.unit.to_owned(),
            setting: row.setting,
        };
        (row.ports)(input).into_iter().map(bound)
    });
    let of_processes = processes::ports(input)
        .into_iter()
        .map(|(unit, port, setting)| BoundPort {
            transport: Transport::Tcp,
            address: loopback(port),
            unit,
            setting,
        });
    of_services.chain(of_processes).collect()
}

/// A port on every address that nginx listens on.
fn outside(input: &Input, port: Option<u16>) -> Vec<(Transport, SocketAddr)> {
    let addresses = input.settings.bind_addresses.iter();
    let on = |address: &IpAddr| Some((Transport::Tcp, SocketAddr::new(*address, port?)));
    addresses.filter_map(on).collect()
}

fn here(port: u16) -> Vec<(Transport, SocketAddr)> {
    vec![(Transport::Tcp, loopback(port))]
}

fn service(input: &Input, port: ServicePort) -> Vec<(Transport, SocketAddr)> {
    here(input.endpoints().service(port))
}

/// A port of coturn, which serves each one over TCP and UDP.
fn turn(input: &Input, port: Option<u16>) -> Vec<(Transport, SocketAddr)> {
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let address = input.settings.coturn.internal_ip.unwrap_or(any);
    let on = |transport| Some((transport, SocketAddr::new(address, port?)));
    [Transport::Tcp, Transport::Udp]
        .into_iter()
        .filter_map(on)
        .collect()
}
