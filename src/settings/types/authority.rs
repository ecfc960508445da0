//! The host in a URL, and the addresses of this host.

use std::net::IpAddr;

/// The host and, if given, the port of a URL.
pub(super) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// The path of a URL without a slash at its end; empty for the root.
pub(super) fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let path = rest.find('/').map_or("", |slash| &rest[slash..]);
    path.trim_end_matches('/')
}

/// A host as resolvers expect it: without the brackets that an IPv6 address has in URLs.
pub fn unbracketed(host: &str) -> &str {
    host.trim_matches(['[', ']'])
}

/// The address, if a host is one.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    unbracketed(host).parse().ok()
}

/// Whether a host is reached over the loopback interface.
pub fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}
