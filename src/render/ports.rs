//! Every port that the units of the desired state bind, with the unit that binds it and the setting that changes it.

use super::service::local;
use super::{Input, processes, services};
use crate::state::ports::{BoundPort, Transport};

/// All ports that the units of the desired state bind.
pub fn bound(input: &Input) -> Vec<BoundPort> {
    let endpoints = input.endpoints();
    let mut ports = Vec::new();
    for service in services::wanted(input) {
        let own = service.port.iter();
        let own = own.map(|port| ("tcp_ports", local(endpoints.service(*port))));
        let others = service.ports.iter();
        let others = others.map(|row| (row.setting, (row.bound)(input)));
        for (setting, bound) in own.chain(others) {
            let port = |(transport, address)| BoundPort {
                transport,
                address,
                unit: service.unit.to_owned(),
                setting,
            };
            ports.extend(bound.into_iter().map(port));
        }
    }
    let of_process = |(unit, address, setting)| BoundPort {
        transport: Transport::Tcp,
        address,
        unit,
        setting,
    };
    ports.extend(processes::ports(input).into_iter().map(of_process));
    ports
}
