//! Checks of ports, addresses, the certificate and the servers that the administrator runs.

use super::check::{Examined, Finding, finding};
use crate::settings::certificate::CHALLENGE_PORT;
use crate::state::{services, units};

pub(super) fn ports(at: &Examined) -> Option<Finding> {
    let first = at.facts.ports_in_use.first()?;
    let used: Vec<String> = at
        .facts
        .ports_in_use
        .iter()
        .map(ToString::to_string)
        .collect();
    let (port, setting) = (first.address.port(), first.setting);
    // The distribution's service for the same program uses the same ports; that of nginx, only the port of HTTP.
    let service = services::service(&first.unit)
        .filter(|service| service.unit != units::NGINX || port == CHALLENGE_PORT);
    let program = service.and_then(|service| service.program.as_ref());
    let rival = program.and_then(|program| program.started.first());
    let hint = rival.map_or(String::new(), |rival| {
        format!(" (the distribution's service: systemctl disable --now {rival})")
    });
    let other = match setting {
        "tls.acme" => "remove tls.acme, whose authority asks at this port".to_owned(),
        setting => format!("set another {setting}"),
    };
    finding(
        format!("in use by another program: {}", used.join(", ")),
        format!("find it with: ss -lntup 'sport = :{port}'; stop it{hint}, or {other}"),
    )
}

pub(super) fn certificate(at: &Examined) -> Option<Finding> {
    let (_, problem) = at.facts.certificate.as_ref()?;
    let problem = problem.as_ref()?;
    finding(
        problem.problem(),
        problem.cure().unwrap_or(match at.scope.settings.tls.acme {
            Some(_) => "remove it, and have it created again: rm /var/lib/synapse-workers/acme/pair/certificate.pem; synapse-workers install",
            None => "set tls.certificate to the certificate with its chain and tls.key to its key, both in PEM format and the key without a \
             password; or leave both empty",
        }),
    )
}

/// Not fatal: nginx serves with the certificate that it has, and `install` is the way to ask again.
pub(super) fn issued(at: &Examined) -> Option<Finding> {
    let certificate = at.facts.acme.as_ref()?;
    (certificate.failed.is_some() || !certificate.is_issued()).then(|| Finding {
        problem: format!("tls.acme: {certificate}"),
        cure: certificate.remedy(),
    })
}

pub(super) fn ipv6(at: &Examined) -> Option<Finding> {
    let settings = &at.scope.settings;
    let ipv6 = at.facts.ipv6;
    let lists = [
        ("bind_addresses", settings.tls_addresses(ipv6)),
        ("http_bind_addresses", settings.plain_addresses(ipv6)),
    ];
    let mut all = lists
        .into_iter()
        .flat_map(|(key, addresses)| addresses.into_iter().map(move |address| (key, address)));
    let (key, address) = all.find(|(_, address)| address.is_ipv6() && !ipv6)?;
    finding(
        format!("{key}: {address}, and IPv6 is disabled on this host"),
        format!(
            "set {key} in /etc/synapse-workers/settings.yaml to IPv4 addresses, as in [\"0.0.0.0\"], or remove it: the \
             default is every address that the host has"
        ),
    )
}

/// The advertised address and the address that it stands for must both be IPv4 or both be IPv6.
pub(super) fn relay_address(at: &Examined) -> Option<Finding> {
    let coturn = &at.scope.settings.coturn;
    if !coturn.enabled || coturn.internal_ip.is_some() {
        return None;
    }
    let cure = "set coturn.internal_ip to the address of this host from which coturn relays calls";
    match (at.facts.address, coturn.external_ip) {
        (None, _) => finding(
            "coturn: this host has no default route, so its address is unknown",
            cure,
        ),
        (Some(own), Some(external)) if own.is_ipv4() != external.is_ipv4() => finding(
            format!(
                "coturn.external_ip: {external} and {own}, the address of this host's default route, are not of the same IP version"
            ),
            cure,
        ),
        _ => None,
    }
}

pub(super) fn redis(at: &Examined) -> Option<Finding> {
    let error = at.facts.external_redis.as_ref()?.as_ref().err()?;
    let redis = &at.scope.settings.redis;
    let (host, port) = (redis.host.as_ref()?.as_str(), redis.port.get());
    finding(
        format!("redis.host: {host} port {port} does not serve Synapse: {error}"),
        format!(
            "check redis.host, redis.port, redis.tls, redis.ca_file and redis.password_file, by hand with: \
                     redis-cli -h {host} -p {port}{} ping",
            if redis.tls { " --tls" } else { "" }
        ),
    )
}

/// Not fatal: the service may need Synapse first, and users who are logged in can do without it for some minutes.
pub(super) fn mas(at: &Examined) -> Option<Finding> {
    let error = at.facts.silent_mas.as_ref()?;
    let url = at.scope.settings.mas.endpoint.as_ref()?;
    finding(
        format!("mas.endpoint: {url} does not answer: {error}"),
        "start the Matrix Authentication Service, or correct mas.endpoint; until it answers, users cannot log in, and \
         Synapse refuses access tokens that it has not seen in the last two minutes",
    )
}
