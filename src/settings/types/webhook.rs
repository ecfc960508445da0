//! The URL of a webhook, which may be a secret.

use super::addresses::split_port;
use super::names::AbsolutePath;
use crate::settings::value::Scalar;

/// The receiver of an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// A URL without a user and a password: the settings file is not secret.
    Url(String),
    /// A file that contains the URL.
    File(AbsolutePath),
}

impl Scalar for Webhook {
    fn kind() -> String {
        "an http or https URL, or the absolute path of a file that contains one".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return <AbsolutePath as Scalar>::parse(text).map(Self::File);
        }
        match is_webhook_url(text) {
            true if authority(text).contains('@') => Err(
                "a URL with a password belongs in a file, and this setting names that file"
                    .to_owned(),
            ),
            true => Ok(Self::Url(text.to_owned())),
            false => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::File(path) => path.show(),
        }
    }
}

/// Whether this is an http or https URL with a host. Braces would begin a template of Alertmanager.
pub fn is_webhook_url(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_graphic() && !b"\"'\\`<>{}".contains(&b);
    let host = authority(text).rsplit('@').next().unwrap_or_default();
    let (_, port) = split_port(host);
    let digits = |part: &str| part.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    !host.is_empty()
        && !host.starts_with(':')
        && host.contains('[') == host.contains(']')
        && port.is_none_or(|port| port.parse::<u16>().is_ok())
        && text.split('%').skip(1).all(digits)
        && text.bytes().all(shape)
}

/// Host and port, with user and password if there are any; empty if this is no http or https URL.
fn authority(text: &str) -> &str {
    let mut schemes = ["https://", "http://"].iter();
    let rest = schemes.find_map(|scheme| text.strip_prefix(scheme));
    let end = |c: char| "/?#".contains(c);
    rest.and_then(|rest| rest.split(end).next())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_written_to_the_settings() {
        for (text, accepted) in [
            ("https://hooks.example.org/T0/B0?room=ops#x", true),
            ("http://127.0.0.1:9000/alerts", true),
            ("http://[::1]:9000", true),
            ("/etc/alerts/webhook", true),
            ("https://me:password@hooks.example.org/", false),
            ("https:///path", false),
            ("http://:9000/", false),
            ("hooks.example.org", false),
            ("ftp://hooks.example.org/", false),
            ("https://hooks.example.org/{{ .Status }}", false),
            ("https://hooks.example.org/a%2Fb", true),
            ("https://hooks.example.org/a%zz", false),
            ("https://hooks.example.org:port/", false),
            ("https://[::1/", false),
            ("webhook", false),
        ] {
            assert_eq!(Webhook::parse(text).is_ok(), accepted, "{text}");
        }
        assert!(is_webhook_url("https://me:password@hooks.example.org/"));
    }
}
