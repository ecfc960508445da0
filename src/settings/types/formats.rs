//! Texts in formats that other programs define: mail addresses, TURN URIs, systemd's calendar events, and keys that
//! other services issued.

use super::addresses::split_port;
use super::names::AbsolutePath;
use super::text::text;
use crate::settings::value::Scalar;

text! {
    /// A key or user name that another service issued, of printable ASCII without blanks and quotes.
    Token,
    "1 to 255 printable ASCII characters without blanks, quotes and backslashes",
    is_token
}

text! {
    /// A sender of e-mail, with or without a name before the address in angle brackets (RFC 5322, 3.4).
    Mailbox,
    "an e-mail address, with or without a name: Example <noreply@example.org>",
    is_mailbox
}

text! {
    /// The URI of a TURN server (RFC 7065).
    TurnUri,
    "the URI of a TURN server, such as turn:turn.example.org:3478?transport=udp",
    is_turn_uri
}

text! {
    /// The location of a restic repository (restic manual, "Preparing a new repository"). It has no password: the settings
    /// file is not secret.
    Repository,
    "an absolute path, sftp:USER@HOST:PATH, s3:https://HOST/BUCKET or rest:https://HOST/PATH",
    is_repository
}

impl Repository {
    /// The directory, if the repository is one on this host.
    pub fn directory(&self) -> Option<&str> {
        self.as_str().starts_with('/').then_some(self.as_str())
    }
}

text! {
    /// A calendar event (systemd.time(7)); systemd itself validates the rest.
    Calendar,
    "a calendar event in the format of systemd, such as Sun 01:00 or *-*-* 03:30",
    is_calendar
}

impl TurnUri {
    /// The host of a TURN server that clients reach over TLS; `None` for any other server.
    pub fn tls_host(&self) -> Option<&str> {
        let rest = self.as_str().strip_prefix("turns:")?;
        let place = rest.split('?').next()?;
        Some(split_port(place).0)
    }
}

fn is_token(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_graphic() && !b"\"'\\`".contains(&b);
    (1..=255).contains(&text.len()) && text.bytes().all(shape)
}

fn is_mailbox(text: &str) -> bool {
    let (name, address) = match text.split_once('<') {
        Some((name, rest)) => (name, rest.strip_suffix('>')),
        None => ("", Some(text)),
    };
    let plain_name = !name.contains(['"', '\\', '>', '@', '%']);
    plain_name && address.is_some_and(is_address)
}

fn is_address(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b".!#$&'*+-/=?^_`{|}~".contains(&b);
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let right_domain = domain.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    });
    !local.is_empty() && local.bytes().all(shape) && right_domain
}

fn is_turn_uri(text: &str) -> bool {
    let rest = ["turn:", "turns:", "stun:"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else {
        return false;
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, "transport=udp"));
    let shape = |b: u8| b.is_ascii_alphanumeric() || b".-:[]".contains(&b);
    !place.is_empty()
        && place.bytes().all(shape)
        && ["transport=udp", "transport=tcp"].contains(&query)
}

fn is_repository(text: &str) -> bool {
    if text.starts_with('/') {
        return <AbsolutePath as Scalar>::parse(text).is_ok();
    }
    let Some((kind, place)) = text.split_once(':') else {
        return false;
    };
    let plain = place
        .bytes()
        .all(|b| b.is_ascii_graphic() && !b"\"'\\`".contains(&b));
    let authority = |scheme: &str| place.strip_prefix(scheme)?.split('/').next();
    let open =
        |scheme: &str| authority(scheme).is_some_and(|it| !it.is_empty() && !it.contains('@'));
    plain
        && match kind {
            "rest" => open("https://") || open("http://"),
            // The scheme may be absent: restic then uses https.
            "s3" => open("https://") || open("http://") || open(""),
            "sftp" => is_sftp(place),
            _ => false,
        }
}

/// `USER@HOST:PATH`, or `//USER@HOST:PORT/PATH`. A user name that contains a colon would be one with a password.
fn is_sftp(place: &str) -> bool {
    let user = place.split_once('@').map_or("", |(user, _)| user);
    let path = match place.strip_prefix("//") {
        Some(rest) => rest.split_once('/'),
        None => place.split_once(':'),
    };
    !user.trim_start_matches('/').contains(':')
        && !place.starts_with('-')
        && path.is_some_and(|(host, path)| !host.is_empty() && !path.is_empty())
}

fn is_calendar(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b"*-:,./~ _+".contains(&b);
    !text.is_empty() && text.bytes().all(shape)
}
