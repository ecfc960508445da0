//! The order for a certificate from an authority that speaks ACME (RFC 8555).

use super::addresses::{BaseUrl, HostName};
use super::contact::is_email_address;
use super::names::AbsolutePath;
use super::trees::text_of;
use crate::settings::value::{Raw, Refused, Scalar, Value};
use crate::suggest::nearest;
use serde_json::{Map, Value as Json};

/// The order as the administrator writes it. Every key may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acme {
    /// The address to which the authority sends messages about the account.
    pub email: Option<String>,
    /// The authority.
    pub server: Authority,
    /// The certificate of the authority that signed the one of the server (PEM), for an internal authority.
    pub ca_file: Option<AbsolutePath>,
    /// The names of the certificate, in place of those that follow from other settings.
    pub names: Vec<HostName>,
}

/// An authority that speaks ACME.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Authority {
    /// The default of certbot, which is Let's Encrypt.
    #[default]
    LetsEncrypt,
    /// The test server of Let's Encrypt, whose certificates no client trusts.
    Staging,
    /// The authority with this directory (RFC 8555, 7.1.1).
    At(BaseUrl),
}

/// The word for [`Authority::Staging`].
const STAGING: &str = "staging";

const KEYS: [&str; 4] = ["email", "server", "ca_file", "names"];

const KIND: &str = "a mapping with the optional keys email, server, ca_file and names";

impl Authority {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case(STAGING) {
            return Ok(Self::Staging);
        }
        match <BaseUrl as Scalar>::parse(text) {
            // RFC 8555, 6.1: ACME uses HTTPS.
            Ok(url) if url.is_https() => Ok(Self::At(url)),
            _ => Err("expected `staging` or the https:// URL of an ACME directory".to_owned()),
        }
    }

    fn written(&self) -> Option<&str> {
        match self {
            Self::LetsEncrypt => None,
            Self::Staging => Some(STAGING),
            Self::At(url) => Some(url.as_str()),
        }
    }
}

impl Acme {
    fn read(keys: &Map<String, Json>) -> Result<Self, String> {
        if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = nearest(unknown, KEYS.into_iter())
                .map_or_else(String::new, |known| format!("; did you mean `{known}`?"));
            return Err(format!("there is no key `{unknown}` in it{hint}"));
        }
        let wrong = |key: &'static str| move |reason: String| format!("`{key}`: {reason}");
        let text = |key: &'static str| text_of(keys, key).map_err(wrong(key));
        Ok(Self {
            email: text("email")?
                .map(|text| match is_email_address(text) {
                    true => Ok(text.to_owned()),
                    false => Err("`email`: expected an e-mail address".to_owned()),
                })
                .transpose()?,
            server: text("server")?
                .map_or(Ok(Authority::default()), Authority::parse)
                .map_err(wrong("server"))?,
            ca_file: text("ca_file")?
                .map(<AbsolutePath as Scalar>::parse)
                .transpose()
                .map_err(wrong("ca_file"))?,
            names: names(keys.get("names")).map_err(wrong("names"))?,
        })
    }

    /// The keys that are set.
    fn written(&self) -> Map<String, Json> {
        let names: Vec<&str> = self.names.iter().map(|name| name.as_str()).collect();
        let keys = [
            ("email", self.email.as_deref().map(Json::from)),
            ("server", self.server.written().map(Json::from)),
            (
                "ca_file",
                self.ca_file.as_ref().map(|path| path.as_str().into()),
            ),
            ("names", (!names.is_empty()).then(|| names.into())),
        ];
        keys.into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect()
    }
}

fn names(value: Option<&Json>) -> Result<Vec<HostName>, String> {
    const EXPECTED: &str = "expected a list of host names";
    let items = match value {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Array(items)) => items,
        Some(_) => return Err(EXPECTED.to_owned()),
    };
    let name = |item: &Json| {
        let text = item.as_str().ok_or(EXPECTED)?;
        // Authorities issue certificates for names in lower case.
        <HostName as Scalar>::parse(&text.to_ascii_lowercase())
    };
    items.iter().map(name).collect()
}

impl Value for Option<Acme> {
    const BARE: bool = true;
    const TREE: bool = true;

    fn kind() -> String {
        KIND.to_owned()
    }

    fn parse(raw: &Raw) -> Result<Self, Refused> {
        let refused = |reason| Refused { item: None, reason };
        let keys: Option<Map<String, Json>> = match raw {
            Raw::Text(text) if text.trim().is_empty() => return Ok(None),
            Raw::Text(text) => serde_json::from_str(text).ok(),
            Raw::List(_) => None,
        };
        let keys = keys.ok_or_else(|| refused(format!("expected {KIND}")))?;
        Acme::read(&keys).map(Some).map_err(refused)
    }

    fn to_raw(&self) -> Option<Raw> {
        let keys = self.as_ref()?.written();
        Some(Raw::Text(Json::from(keys).to_string()))
    }

    fn unset() -> Option<Self> {
        Some(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Acme>, Refused> {
        Value::parse(&Raw::Text(text.to_owned()))
    }

    #[test]
    fn an_order_is_written_as_it_was_read() {
        for text in [
            "{}",
            r#"{"email":"admin@example.org","server":"staging"}"#,
            r#"{"ca_file":"/etc/ca.pem","names":["a.example.org","b.example.org"],"server":"https://ca.internal:9000/acme/acme/directory"}"#,
        ] {
            let order = parse(text).unwrap();
            assert_eq!(order.to_raw(), Some(Raw::Text(text.to_owned())));
        }
        assert_eq!(parse("").unwrap(), None);
        assert_eq!(None::<Acme>.to_raw(), None);
    }

    #[test]
    fn a_wrong_key_is_named() {
        for (text, expected) in [
            ("true", "expected a mapping"),
            ("admin@example.org", "expected a mapping"),
            (
                r#"{"mail":"a@b.c"}"#,
                "no key `mail` in it; did you mean `email`?",
            ),
            (
                r#"{"email":"admin"}"#,
                "`email`: expected an e-mail address",
            ),
            (r#"{"email":["a@b.c"]}"#, "`email`: expected a text"),
            (
                r#"{"server":"http://ca.internal/"}"#,
                "`server`: expected `staging` or the https://",
            ),
            (
                r#"{"ca_file":"ca.pem"}"#,
                "`ca_file`: expected an absolute path",
            ),
            (
                r#"{"names":"a.example.org"}"#,
                "`names`: expected a list of host names",
            ),
            (
                r#"{"names":["*.example.org"]}"#,
                "`names`: expected a host name",
            ),
        ] {
            let reason = parse(text).unwrap_err().reason;
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }
}
