//! The address that clients enter.

use crate::settings::Settings;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of HTTPS that URLs leave out (RFC 9110, 4.2.2).
const HTTPS: u16 = 443;

/// The URL at which clients reach a server. `own` is the address of this host's default route; it is used only if nginx
/// serves plain HTTP, and the settings name no URL.
pub(super) fn of_clients(settings: &Settings, own: Option<IpAddr>) -> String {
    if let Some(url) = &settings.public_baseurl {
        return url.as_str().to_owned();
    }
    if settings.tls.is_on() {
        let host = settings.server_name.host();
        return match settings.tls.port.number() {
            HTTPS => format!("https://{host}/"),
            port => format!("https://{host}:{port}/"),
        };
    }
    let listening = settings.plain_addresses(true);
    let first = listening.iter().find(|address| !address.is_unspecified());
    let any = listening.iter().any(IpAddr::is_unspecified);
    let address = match any {
        true => own,
        false => first.copied(),
    };
    let address = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
    format!(
        "http://{}/",
        SocketAddr::new(address, settings.http_port.number())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Sources, load};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn address(lines: &str) -> String {
        let text = format!("server_name: example.org\n{lines}");
        let loaded = load(&Sources {
            file: Some((Path::new("settings.yaml"), &text)),
            env_file: None,
            environment: &BTreeMap::new(),
            flags: &[],
        });
        of_clients(
            &loaded.unwrap().settings,
            Some("192.0.2.7".parse().unwrap()),
        )
    }

    #[test]
    fn clients_use_the_url_of_the_settings_or_else_where_nginx_listens() {
        let proxied = "public_baseurl: https://matrix.example.org/\n";
        for (lines, expected) in [
            (proxied, "https://matrix.example.org/"),
            ("tls: {acme: {}}\n", "https://example.org/"),
            ("tls: {acme: {}, port: 8443}\n", "https://example.org:8443/"),
            ("", "http://192.0.2.7:8008/"),
            ("bind_addresses: [127.0.0.1]\n", "http://127.0.0.1:8008/"),
            ("bind_addresses: ['::1']\n", "http://[::1]:8008/"),
            (
                "http_bind_addresses: [192.0.2.9]\nhttp_port: 80\n",
                "http://192.0.2.9:80/",
            ),
        ] {
            assert_eq!(address(lines), expected, "{lines}");
        }
    }
}
