//! What our TURN server asks of the host.

use super::{Examined, Finding, finding};

/// What people are told of has to be of the same kind as what is behind it.
pub(super) fn relay_address(at: &Examined) -> Option<Finding> {
    let coturn = &at.scope.settings.coturn;
    if !coturn.enabled || coturn.internal_ip.is_some() {
        return None;
    }
    let cure = "set coturn.internal_ip to the address of this host that calls are relayed from";
    match (at.facts.address, coturn.external_ip) {
        (None, _) => finding(
            "coturn: this host has no default route, so the address of it is not known",
            cure,
        ),
        (Some(own), Some(external)) if own.is_ipv4() != external.is_ipv4() => finding(
            format!(
                "coturn.external_ip: {external} cannot stand for {own}, the address of this host's default route"
            ),
            cure,
        ),
        _ => None,
    }
}

pub(super) fn metrics(at: &Examined) -> Option<Finding> {
    let build = at.facts.coturn?;
    (at.scope.settings.coturn.metrics && !build.metrics)
                .then(|| {
                    finding(
                        "coturn.metrics: the coturn of this host was built without Prometheus, or cannot keep its \
                         metrics to 127.0.0.1 (Debian's is so)",
                        "set coturn.metrics to false, or install a coturn that has the option prometheus-address",
                    )
                })
                .flatten()
}
