//! Names, addresses, paths and secrets.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use super::authority::{address, authority, path};
use super::numbers::Port;
use crate::settings::value::{Raw, Refused, Scalar, Value};
use crate::state::normalized;

/// Declares a text type that a predicate validates.
macro_rules! text {
    ($(#[$about:meta])* $Name:ident, $kind:literal, $is_right:path) => {
        $crate::settings::types::names::text! { $(#[$about])* $Name, $kind, $is_right, |_| None }
    };
    ($(#[$about:meta])* $Name:ident, $kind:literal, $is_right:path, $advice:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $Name(String);

        impl $Name {
            /// The validated text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl crate::settings::value::Scalar for $Name {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                if $is_right(text) {
                    return Ok(Self(text.to_owned()));
                }
                let advice: fn(&str) -> Option<&'static str> = $advice;
                Err(match advice(text) {
                    Some(advice) => format!("{}; {advice}", Self::expected()),
                    None => Self::expected(),
                })
            }

            fn show(&self) -> String {
                self.0.clone()
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use text;

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
    /// The path of a file or directory, without `.`, `..` and `//`, which systemd refuses in units.
    AbsolutePath,
    "an absolute path without the parts . and .. and without //",
    is_absolute_path
}

impl AbsolutePath {
    /// The same text as a path for the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
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

text! {
    /// The name of a system user (systemd's strict rule, systemd.io/USER_NAMES).
    AccountName,
    "the name of a system user: at most 31 letters, digits, _ and -, starting with a letter or _",
    is_account_name
}

text! {
    /// The name of a systemd service.
    UnitName,
    "the name of a systemd service, such as matrix-synapse.service",
    is_unit_name
}

text! {
    /// The name of a database or role, which never needs quoting (PostgreSQL truncates names to 63 bytes).
    Identifier,
    "a name of at most 63 letters, digits, _ and -, starting with a letter or _",
    is_identifier
}

text! {
    /// A release of Synapse.
    Version,
    "a version such as 1.163.2",
    is_version
}

text! {
    /// A package of PyPI in exactly one version (packaging.python.org, "Names and normalization" and "Version
    /// specifiers").
    PinnedPackage,
    "NAME==VERSION with one exact version, such as synapse-s3-storage-provider==1.7.0",
    is_pinned_package
}

impl PinnedPackage {
    fn parts(&self) -> (&str, &str) {
        self.0.split_once("==").unwrap_or((&self.0, ""))
    }

    /// The normalized name of the project.
    pub fn project(&self) -> String {
        normalized(self.parts().0)
    }

    /// The version.
    pub fn version(&self) -> &str {
        self.parts().1
    }

    /// The package with the normalized name of its project, for pip.
    pub fn requirement(&self) -> String {
        format!("{}=={}", self.project(), self.version())
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

fn is_absolute_path(text: &str) -> bool {
    let inner = text.strip_suffix('/').unwrap_or(text);
    let is_part = |part: &str| !["", ".", ".."].contains(&part);
    match inner.strip_prefix('/') {
        Some(parts) => parts.split('/').all(is_part) && !text.chars().any(char::is_control),
        None => false,
    }
}

fn is_host(text: &str) -> bool {
    is_absolute_path(text) || is_host_name(text) || text.parse::<Ipv6Addr>().is_ok()
}

fn is_machine(text: &str) -> bool {
    is_host_name(text) || text.parse::<Ipv6Addr>().is_ok()
}

fn is_account_name(text: &str) -> bool {
    is_identifier(text) && text.len() <= 31
}

fn is_unit_name(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b);
    let name = text.strip_suffix(".service");
    text.len() <= 255 && name.is_some_and(|name| !name.is_empty() && name.bytes().all(shape))
}

fn is_identifier(text: &str) -> bool {
    let rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.len() <= 63
        && text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(rest)
}

fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (release, candidate) = match text.split_once("rc") {
        Some((release, candidate)) => (release, Some(candidate)),
        None => (text, None),
    };
    // pip would take 1.163 for 1.163.0, which is another text.
    let numbers = release.split('.');
    numbers.clone().count() == 3
        && numbers.clone().all(is_number)
        && candidate.is_none_or(is_number)
}

fn is_pinned_package(text: &str) -> bool {
    let word = |part: &str, inner: &[u8]| {
        let ends = [part.bytes().next(), part.bytes().next_back()];
        ends.iter()
            .all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || inner.contains(&b))
    };
    // Epoch, pre-release and local version are parts of a version (PEP 440).
    text.split_once("==").is_some_and(|(name, version)| {
        word(name, b"._-")
            && word(version, b".!+-_")
            && version.starts_with(|c: char| c.is_ascii_digit())
    })
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

/// A secret value, which appears neither in messages nor in the settings file.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A value that does not come from a setting.
    pub fn new(value: &str) -> Self {
        Self(value.to_owned())
    }

    /// The value itself, for the file that stores it. It must not reach a message or a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Value for Option<Secret> {
    const SECRET: bool = true;

    fn kind() -> String {
        "a secret".to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        match raw {
            Raw::Text(text) if text.is_empty() => Ok(None),
            Raw::Text(text) => Ok(Some(Secret(text.clone()))),
            Raw::List(_) => Err(Refused {
                item: None,
                reason: "expected a single value".to_owned(),
            }),
        }
    }

    fn to_raw(&self) -> Option<Raw> {
        None
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}
