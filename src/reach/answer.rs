//! Answers over HTTP, and the reasons why there is none.

use serde_json::Value;
use std::collections::BTreeMap;

/// An answer over HTTP.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The values of each header, by its name in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body, with invalid UTF-8 replaced.
    pub body: String,
}

impl Answer {
    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }

    /// The values of a header.
    pub fn header(&self, name: &str) -> &[String] {
        self.headers
            .get(name)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kind, which decides the remedy.
    pub kind: Kind,
    /// The message.
    pub text: String,
}

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The address refuses connections.
    Refused,
    /// There was no answer in time.
    Silent,
    /// This host has no route to the address.
    Unreachable,
    /// The certificate is for other names.
    OtherName,
    /// The certificate is expired, or not valid yet.
    Expired,
    /// The certificate is signed with its own key, and by no authority.
    SelfSigned,
    /// No authority that this host trusts has issued the certificate, or its chain is incomplete.
    Untrusted,
    /// The peer does not speak TLS, or speaks another version.
    NoTls,
    /// Too many redirects, or one to plain HTTP.
    Redirects,
    /// The body is too large.
    Large,
    /// Another error.
    Other,
}

/// The kinds of curl's errors: exit status (curl(1), "EXIT CODES"), and a part of the message in lower case. curl has
/// the messages of certificates from OpenSSL (X509_verify_cert_error_string) or from GnuTLS.
#[rustfmt::skip] // one error per line
static OF_CURL: &[(i64, &str, Kind)] = &[
    (1,  "",                         Kind::Redirects),
    (7,  "",                         Kind::Refused),
    (28, "",                         Kind::Silent),
    (35, "",                         Kind::NoTls),
    (47, "",                         Kind::Redirects),
    (51, "",                         Kind::OtherName),
    (60, "subject name",             Kind::OtherName),
    (60, "hostname",                 Kind::OtherName),
    (60, "expired",                  Kind::Expired),
    (60, "not yet valid",            Kind::Expired),
    (60, "signed certificate in",    Kind::Untrusted),
    (60, "self-signed certificate",  Kind::SelfSigned),
    (60, "self signed certificate",  Kind::SelfSigned),
    (60, "",                         Kind::Untrusted),
    (63, "",                         Kind::Large),
];

impl Trouble {
    /// A trouble without the control characters that a terminal would obey: the peer decides a part of the text.
    pub fn new(kind: Kind, text: &str) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            kind,
            text: text.trim().chars().map(printable).take(300).collect(),
        }
    }

    /// The trouble of a curl that ended with this status and message.
    pub fn of_curl(status: i64, message: &str) -> Self {
        let lower = message.to_lowercase();
        let mut rows = OF_CURL.iter();
        let row = rows.find(|(code, part, _)| *code == status && lower.contains(part));
        let kind = row.map_or(Kind::Other, |(.., kind)| *kind);
        match message.is_empty() {
            true => Self::new(kind, &format!("curl ended with status {status}")),
            false => Self::new(kind, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of curl 7.88 and 8.14 with OpenSSL 3, and of curl 8.5 with GnuTLS.
    #[test]
    fn messages_of_curl_have_kinds() {
        for (status, message, kind) in [
            (
                60,
                "SSL: no alternative certificate subject name matches target host name 'a.test'",
                Kind::OtherName,
            ),
            (
                60,
                "SSL certificate problem: certificate has expired",
                Kind::Expired,
            ),
            (
                60,
                "SSL certificate problem: certificate is not yet valid",
                Kind::Expired,
            ),
            (
                60,
                "SSL certificate problem: self-signed certificate",
                Kind::SelfSigned,
            ),
            (
                60,
                "SSL certificate problem: self-signed certificate in certificate chain",
                Kind::Untrusted,
            ),
            (
                60,
                "SSL certificate problem: unable to get local issuer certificate",
                Kind::Untrusted,
            ),
            (
                60,
                "server certificate verification failed. CAfile: none CRLfile: none",
                Kind::Untrusted,
            ),
            (
                35,
                "OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number",
                Kind::NoTls,
            ),
            (
                28,
                "Operation timed out after 8001 milliseconds with 0 bytes received",
                Kind::Silent,
            ),
            (47, "Maximum (20) redirects followed", Kind::Redirects),
            (
                1,
                "Protocol \"http\" not supported or disabled in libcurl",
                Kind::Redirects,
            ),
            (63, "Maximum file size exceeded", Kind::Large),
            (56, "", Kind::Other),
        ] {
            assert_eq!(Trouble::of_curl(status, message).kind, kind, "{message}");
        }
    }

    #[test]
    fn a_message_has_no_control_characters() {
        assert_eq!(Trouble::new(Kind::Other, "a\u{1b}[31mb\n").text, "a [31mb");
    }
}
