//! The proofs for an authority that names belong to this host (RFC 8555, 8.3): certbot writes them to a directory, and nginx
//! serves it over plain HTTP.

use super::super::Input;
use super::listen::{challenge_listeners, plain_lines};
use crate::state::{digest, paths};
use anyhow::Result;

/// The proofs in nginx's configuration.
pub(super) struct Challenge {
    /// The directory that certbot writes to.
    pub root: &'static str,
    /// Whether a port for plain HTTP serves them beside Matrix.
    pub shared: bool,
    /// The listeners of a server for them alone.
    pub own: Option<Listeners>,
}

/// A file with listeners. It is separate, because its change needs a restart.
pub(super) struct Listeners {
    /// Its name.
    pub name: &'static str,
    /// Its contents.
    pub text: String,
    /// The digest of the contents, which the fingerprint of nginx.conf then covers.
    pub digest: String,
}

impl Challenge {
    /// The proofs of these settings.
    ///
    /// # Errors
    /// Fails only if the template cannot be rendered.
    pub fn new(input: &Input) -> Result<Self> {
        let own = input.settings.has_challenge_port();
        Ok(Self {
            root: paths::ACME_WEBROOT,
            shared: input.settings.tls.acme.is_some() && !own,
            own: own.then(|| Listeners::new(input)).transpose()?,
        })
    }
}

impl Listeners {
    fn new(input: &Input) -> Result<Self> {
        let text = plain_lines(input, challenge_listeners(input))?;
        Ok(Self {
            name: "listen-challenge.conf",
            digest: digest(text.as_bytes()),
            text,
        })
    }
}
