//! The URL of a service that exchanges secrets with this server.

use std::net::IpAddr;

use super::addresses::{international, is_base_url, split_port};
use super::authority::{address, authority, is_loopback, path};
use super::text::text;
use crate::special_ranges::is_special;

text! {
    /// The URL of a service that exchanges secrets with this server. Over plain HTTP, its host is an address that the
    /// internet does not route, so that no other host can read them. Over HTTPS, it is a name, because nginx verifies
    /// certificates for names only.
    ServiceUrl,
    "an http URL with localhost or a private address, or an https URL with a host name",
    is_service_url,
    international
}

impl ServiceUrl {
    /// Whether requests are encrypted.
    pub fn is_https(&self) -> bool {
        self.as_str().starts_with("https://")
    }

    /// The host and, if given, the port.
    pub fn authority(&self) -> &str {
        authority(self.as_str())
    }

    /// The host without its port; an IPv6 address is in brackets.
    pub fn host(&self) -> &str {
        split_port(self.authority()).0
    }

    /// The port, which follows from the scheme if the URL has none.
    pub fn port(&self) -> u16 {
        let default = if self.is_https() { 443 } else { 80 };
        let (_, port) = split_port(self.authority());
        port.and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    /// The path without a slash at its end; empty for the root.
    pub fn path(&self) -> &str {
        path(self.as_str())
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        address(self.host())
    }

    /// Whether the service is reached over the loopback interface.
    pub fn is_loopback(&self) -> bool {
        is_loopback(self.host())
    }
}

fn is_service_url(text: &str) -> bool {
    let (host, _) = split_port(authority(text));
    let private = |address: IpAddr| {
        is_special(address) && !address.is_unspecified() && !address.is_multicast()
    };
    let safe = match address(host) {
        Some(address) => text.starts_with("http://") && private(address),
        None => text.starts_with("https://") || is_loopback(host),
    };
    is_base_url(text) && safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::value::Scalar;

    #[test]
    fn secrets_do_not_cross_the_internet_in_clear() {
        for (text, accepted) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]:8080/auth/", true),
            ("http://172.17.0.2:8080/", true),
            ("http://[fd00::2]:8080/", true),
            ("https://auth.example.org/", true),
            ("https://10.0.0.2/", false),
            ("http://auth.example.org/", false),
            ("http://8.8.8.8/", false),
            ("http://0.0.0.0:8080/", false),
            ("http://[::]/", false),
            ("http://224.0.0.1/", false),
            ("http://localhost.example.org/", false),
            ("127.0.0.1:8080", false),
            ("http://127.0.0.1:8080/?a=b", false),
        ] {
            assert_eq!(ServiceUrl::parse(text).is_ok(), accepted, "{text}");
        }
    }

    #[test]
    fn the_parts_of_a_url_are_found() {
        let parts = |text| {
            let url = ServiceUrl::parse(text).unwrap();
            (
                url.host().to_owned(),
                url.port(),
                url.path().to_owned(),
                url.is_loopback(),
            )
        };
        let of = |host: &str, port, path: &str, loopback| {
            (host.to_owned(), port, path.to_owned(), loopback)
        };
        assert_eq!(
            parts("http://localhost:8080"),
            of("localhost", 8080, "", true)
        );
        assert_eq!(parts("http://[::1]/auth/"), of("[::1]", 80, "/auth", true));
        assert_eq!(
            parts("https://auth.example.org/a/b"),
            of("auth.example.org", 443, "/a/b", false)
        );
    }
}
