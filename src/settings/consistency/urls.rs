//! Rules for the URLs that clients and other homeservers get.

use super::{Rule, violated};

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let missing = settings.serve_server_wellknown && settings.public_baseurl.is_none();
        violated(missing, "serve_server_wellknown", || {
            (
                "`serve_server_wellknown` is true, but `public_baseurl` is not set".to_owned(),
                "set `public_baseurl`".to_owned(),
            )
        })
    },
    |settings| {
        // Matrix specification, Server-Server API, "API standards": servers connect over TLS only.
        let url = settings.public_baseurl.as_ref()?;
        let plain = settings.serve_server_wellknown && !url.is_https();
        violated(plain, "public_baseurl", || {
            (
                format!(
                    "`public_baseurl` is {url}, and `serve_server_wellknown` directs other homeservers to it, which \
                     connect over HTTPS only"
                ),
                "set `public_baseurl` to an https:// URL, or set `serve_server_wellknown` to false"
                    .to_owned(),
            )
        })
    },
    |settings| {
        // Matrix specification, Identity Service API, "API standards": HTTPS is required.
        let url = settings.default_identity_server.as_ref()?;
        violated(!url.is_https(), "default_identity_server", || {
            (
                format!(
                    "`default_identity_server` is {url}, but clients reach an identity server over HTTPS only"
                ),
                "set `default_identity_server` to an https:// URL, or leave it empty".to_owned(),
            )
        })
    },
];
