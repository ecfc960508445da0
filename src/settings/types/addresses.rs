//! Hosts: their names, addresses and URLs, and ranges of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::authority::{address, authority, path};
use super::names::is_absolute_path;
use super::numbers::Port;
use super::text::text;
use crate::settings::value::Scalar;

text! {
    /// The name of the homeserver: the part of user IDs after the colon (Matrix specification, appendix "Server Name";
    /// at most 230 characters). Case is significant. Servers whose name has capitals exist and cannot be renamed, so
    /// capitals are accepted here, and the request refuses them for a new server.
    ServerName,
    "a host name, an IPv4 address or an IPv6 address in brackets, optionally with :PORT, of at most 230 characters",
    is_server_name,
    international
}

impl ServerName {
    /// The name without its port.
    pub fn host(&self) -> &str {
        split_port(&self.0).0
    }

    /// The port, if the name has one.
    pub fn port(&self) -> Option<u16> {
        split_port(&self.0).1.and_then(|port| port.parse().ok())
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        address(self.host())
    }
}

text! {
    /// The URL at which clients reach the server.
    BaseUrl,
    "an http or https URL without query and fragment, such as https://matrix.example.org/",
    is_base_url,
    international
}

impl BaseUrl {
    /// The host and, if given, the port.
    pub fn authority(&self) -> &str {
        authority(&self.0)
    }

    /// The host, without scheme, port and path.
    pub fn host(&self) -> &str {
        split_port(self.authority()).0
    }

    /// The port, which follows from the scheme if the URL has none.
    pub fn port(&self) -> u16 {
        let (_, port) = split_port(self.authority());
        let default = if self.is_https() { 443 } else { 80 };
        port.and_then(|port| port.parse().ok()).unwrap_or(default)
    }

    /// The host and port for other homeservers. They connect by HTTPS only, whose port defaults to 443, whatever the
    /// scheme is.
    pub fn for_servers(&self) -> String {
        let (host, port) = split_port(self.authority());
        format!("{host}:{}", port.unwrap_or("443"))
    }

    /// The path without a slash at its end; empty for the root.
    pub fn path(&self) -> &str {
        path(&self.0)
    }

    /// Whether requests to this URL are encrypted.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

text! {
    /// The host name, IP address or socket directory of a PostgreSQL server.
    Host,
    "a host name, an IP address or the directory of a Unix socket",
    is_host,
    international
}

impl Host {
    /// Whether this is the directory of a Unix socket.
    pub fn is_socket_directory(&self) -> bool {
        self.0.starts_with('/')
    }
}

text! {
    /// The host name or IP address of a machine.
    HostName,
    "a host name or an IP address",
    is_machine,
    international
}

/// An IP address or a range in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The address as written; in a range, bits after the prefix may be set.
    pub address: IpAddr,
    /// The number of significant leading bits; `None` for a single address.
    pub prefix: Option<u8>,
}

impl Scalar for Network {
    fn kind() -> String {
        "an IP address or a range such as 10.0.0.0/8".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| Self::expected())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        match prefix.map(str::parse::<u8>) {
            None => Ok(Self {
                address,
                prefix: None,
            }),
            Some(Ok(prefix)) if prefix <= bits => Ok(Self {
                address,
                prefix: Some(prefix),
            }),
            Some(_) => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// Splits a host from its port. An IPv6 address is in brackets.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn is_server_name(text: &str) -> bool {
    let (host, port) = split_port(text);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let right_host = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(host),
    };
    let right_port = port.is_none_or(|port| <Port as Scalar>::parse(port).is_ok());
    text.len() <= 230 && right_host && right_port
}

/// The advice for a name with letters outside ASCII (RFC 5891): Matrix names, URLs and TLS use its ASCII form.
pub(super) fn international(text: &str) -> Option<&'static str> {
    let beyond = |letter: char| !letter.is_ascii() && letter.is_alphanumeric();
    text.contains(beyond).then_some(
        "write letters outside ASCII in their xn-- form, which `idn2 NAME` prints (package idn2)",
    )
}

fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

pub(super) fn is_base_url(text: &str) -> bool {
    let after_scheme = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = after_scheme else {
        return false;
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    is_server_name(authority)
        && path
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-._~%".contains(&b))
}

fn is_host(text: &str) -> bool {
    is_absolute_path(text) || is_host_name(text) || text.parse::<Ipv6Addr>().is_ok()
}

fn is_machine(text: &str) -> bool {
    is_host_name(text) || text.parse::<Ipv6Addr>().is_ok()
}
