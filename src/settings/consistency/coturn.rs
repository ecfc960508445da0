//! Rules for the section `coturn`.

use super::{Rule, violated};

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let first = settings.coturn.min_port.get();
        let last = settings.coturn.max_port.get();
        violated(first > last, "coturn.min_port", || {
            (
                format!("`coturn.min_port` is {first}, more than `coturn.max_port`, {last}"),
                "lower `coturn.min_port`, or raise `coturn.max_port`".to_owned(),
            )
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let (first, last) = (coturn.min_port.get(), coturn.max_port.get());
        let (key, port) = [
            ("coturn.port", coturn.port.get()),
            ("coturn.tls_port", coturn.tls_port.get()),
        ]
        .into_iter()
        .find(|(_, port)| (first..=last).contains(port))?;
        violated(coturn.enabled, key, || {
            (
                format!(
                    "`{key}` is {port}, which is in the range for relayed calls, {first} to {last}"
                ),
                "choose a port outside this range".to_owned(),
            )
        })
    },
    |settings| {
        let coturn = &settings.coturn;
        let (local, public) = (coturn.internal_ip?, coturn.external_ip?);
        violated(
            local.is_ipv4() != public.is_ipv4(),
            "coturn.external_ip",
            || {
                (
                    format!(
                        "`coturn.external_ip` is {public} and `coturn.internal_ip` {local}, so one is IPv4 and the \
                     other IPv6"
                    ),
                    "set two addresses of the same IP version".to_owned(),
                )
            },
        )
    },
];
