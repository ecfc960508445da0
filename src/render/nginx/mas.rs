//! The Matrix Authentication Service behind nginx: where requests to it go, and who may use Synapse's API for it.

use crate::render::Input;
use crate::settings::types::{Network, ServiceUrl};
use crate::topology::patterns::MAS;

/// The values in the configuration of nginx.
pub(super) struct Mas<'a> {
    url: &'a ServiceUrl,
    /// The addresses that may use the API, besides this host.
    pub allowed: &'a [Network],
    /// The file with the certificates of the authorities that this host trusts.
    pub authorities: &'a str,
}

impl<'a> Mas<'a> {
    /// The values, if there is such a service.
    pub fn of(input: &'a Input) -> Option<Self> {
        let mas = &input.settings.mas;
        let url = mas.endpoint.as_ref()?;
        Some(Self {
            url,
            allowed: &mas.allowed_addresses,
            authorities: &input.facts.authorities,
        })
    }

    /// Its server in the `upstream` of nginx.
    pub fn place(&self) -> String {
        format!("{}:{}", self.url.host(), self.url.port())
    }

    /// The URL to which nginx sends a request, up to the raw path.
    pub fn target(&self) -> String {
        let scheme = if self.is_https() { "https" } else { "http" };
        format!("{scheme}://{MAS}{}", self.url.path())
    }

    /// The Host header, which a reverse proxy in front of the service may need.
    pub fn authority(&self) -> &str {
        self.url.authority()
    }

    /// The name in its certificate.
    pub fn name(&self) -> &str {
        self.url.host()
    }

    /// Whether nginx reaches it over TLS.
    pub fn is_https(&self) -> bool {
        self.url.is_https()
    }
}
