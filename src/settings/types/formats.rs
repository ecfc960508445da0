//! Texts in formats that other programs define: mail addresses, TURN URIs, systemd's calendar events, and keys that
//! other services issued.

use super::names::{split_port, text};

text! {
    /// A key or user name that another service issued, of printable ASCII without blanks and quotes.
    Token,
    "1 to 255 printable ASCII characters without blanks, quotes and backslashes",
    is_token
}

text! {
    /// A sender of e-mail, with or without a name before the address in angle brackets (RFC 5322, 3.4).
    Mailbox,
    "an e-mail address, or a name with the address in angle brackets: Example <noreply@example.org>",
    is_mailbox
}

text! {
    /// The URI of a TURN server (RFC 7065).
    TurnUri,
    "the URI of a TURN server, such as turn:turn.example.org:3478?transport=udp",
    is_turn_uri
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

fn is_calendar(text: &str) -> bool {
    let shape = |b: u8| b.is_ascii_alphanumeric() || b"*-:,./~ _+".contains(&b);
    !text.is_empty() && text.bytes().all(shape)
}
