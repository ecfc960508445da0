//! A check of the host's address for coturn.

use super::check::{Examined, Finding, finding};

/// The advertised address and the address that it stands for must both be IPv4 or both be IPv6.
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
