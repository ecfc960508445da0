//! The certificate of the settings: whether there is one, its files, and the names for which `tls.acme` obtains it.

use super::table::{Settings, Tls};
use super::types::{Acme, Authority, HostName, is_loopback, unbracketed};
use crate::state::paths;
use std::net::IpAddr;

/// The port at which an authority asks for the proof that a name belongs to this host (RFC 8555, 8.3).
pub const CHALLENGE_PORT: u16 = 80;

impl Tls {
    /// Whether nginx serves HTTPS.
    pub fn is_on(&self) -> bool {
        self.certificate.is_some() || self.acme.is_some()
    }

    /// The paths of the certificate with its chain and of its key. With `tls.acme`, one file contains both, so that a new
    /// pair replaces the previous one at once.
    pub fn files(&self) -> Option<(&str, &str)> {
        match (&self.acme, &self.certificate, &self.key) {
            (Some(_), ..) => Some((paths::ACME_PAIR, paths::ACME_PAIR)),
            (None, Some(certificate), Some(key)) => Some((certificate.as_str(), key.as_str())),
            _ => None,
        }
    }

    /// The path of the certificate with its chain.
    pub fn certificate_file(&self) -> Option<&str> {
        self.files().map(|(certificate, _)| certificate)
    }
}

impl Settings {
    /// Whether nginx needs port 80: for `tls.acme`, or for plain HTTP.
    pub fn needs_port_80(&self) -> bool {
        self.tls.acme.is_some() || self.has_plain_port_80()
    }

    /// Whether nginx opens [`CHALLENGE_PORT`] for `tls.acme`; not if the port serves plain HTTP already.
    pub fn has_challenge_port(&self) -> bool {
        self.tls.acme.is_some() && !self.has_plain_port_80()
    }

    fn has_plain_port_80(&self) -> bool {
        let plain = [Some(self.http_port), self.http_federation_port];
        let mut plain = plain.into_iter().flatten();
        plain.any(|port| port.number() == CHALLENGE_PORT)
    }

    /// The names for which `tls.acme` obtains a certificate, in lower case, each once; none without `tls.acme`.
    ///
    /// They are the names under which clients, other homeservers and calls reach this host over TLS: the host of
    /// `public_baseurl`; the server name, unless the URL has another host and this host does not serve the well-known file
    /// for other homeservers, because the server name then belongs to another host; the hosts of this host's own TURN
    /// server.
    pub fn certificate_names(&self) -> Vec<String> {
        let acme = self.tls.acme.as_ref();
        acme.map_or_else(Vec::new, |acme| self.names_of(acme))
    }

    /// Whether Let's Encrypt may issue a certificate for the names that `tls.acme: {}` would have.
    pub fn suits_lets_encrypt(&self) -> bool {
        let order = Acme::default();
        let names = self.names_of(&order);
        let suits = |name: &String| unsuitable(name, &order.server).is_none();
        names.iter().all(suits)
    }

    fn names_of(&self, acme: &Acme) -> Vec<String> {
        if !acme.names.is_empty() {
            let names = acme.names.iter();
            return distinct(names.map(HostName::as_str));
        }
        let url = self.public_baseurl.as_ref().map(|url| url.host());
        let server = Some(self.server_name.host())
            .filter(|server| self.serve_server_wellknown || url.is_none_or(|url| url == *server));
        let turn = self.turn.uris.iter().filter(|_| self.coturn.enabled);
        let turn = turn.filter_map(|uri| uri.tls_host());
        distinct(url.into_iter().chain(server).chain(turn))
    }
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = Vec::new();
    for name in names.map(str::to_ascii_lowercase) {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// Why the authority issues no certificate for a name, as a relative clause; `None` if it may.
pub(super) fn unsuitable(name: &str, authority: &Authority) -> Option<&'static str> {
    let public = !matches!(authority, Authority::At(_));
    if unbracketed(name).parse::<IpAddr>().is_ok() {
        Some("which is an IP address")
    } else if is_loopback(name) || name.ends_with(".localhost") {
        Some("which every host has for itself")
    } else if public && !name.contains('.') {
        Some("which is not a name of the public DNS")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::{Sources, load};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn names(text: &str) -> Vec<String> {
        let text = format!("server_name: Example.org:8448\ntls: {{acme: {{}}}}\n{text}");
        let loaded = load(&Sources {
            file: Some((Path::new("settings.yaml"), &text)),
            env_file: None,
            environment: &BTreeMap::new(),
            flags: &[],
        });
        loaded.unwrap().settings.certificate_names()
    }

    #[test]
    fn the_names_are_those_under_which_this_host_is_reached() {
        let url = "public_baseurl: https://matrix.example.org:8443/\n";
        assert_eq!(names(""), ["example.org"]);
        assert_eq!(
            names("public_baseurl: https://example.org/"),
            ["example.org"]
        );
        // Another host has the server name: this one would not get a certificate for it.
        assert_eq!(names(url), ["matrix.example.org"]);
        let served = format!("{url}serve_server_wellknown: true\n");
        assert_eq!(names(&served), ["matrix.example.org", "example.org"]);
        let turn =
            "turn: {uris: ['turn:a.example.org', 'turns:turn.example.org:5349?transport=tcp']}\n";
        assert_eq!(names(&format!("{url}{turn}")), ["matrix.example.org"]);
        assert_eq!(
            names(&format!("{url}{turn}coturn: {{enabled: true}}\n")),
            ["matrix.example.org", "turn.example.org"]
        );
    }
}
