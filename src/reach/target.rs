//! The settings that decide how others reach this server.

use crate::deployment::Deployment;
use crate::settings::types::{BaseUrl, ServerName};
use serde_yaml::Value;

/// Where nginx gets its certificate from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// nginx serves plain HTTP: a reverse proxy has the certificate.
    OfProxy,
    /// `tls.certificate`.
    Own,
    /// `tls.acme`.
    Acme,
}

/// How this server is to be reached.
#[derive(Clone, Debug)]
pub struct Target {
    /// The name of the server.
    pub server_name: ServerName,
    /// The URL for clients; `None` if they use https://SERVER_NAME/.
    pub base_url: Option<BaseUrl>,
    /// Whether other homeservers may reach it: not with an empty `federation_domain_whitelist`.
    pub federates: bool,
    /// Whether it serves /.well-known/matrix/server.
    pub delegates: bool,
    /// Whether it names transports for calls in /.well-known/matrix/client.
    pub has_calls: bool,
    /// The source of the certificate.
    pub certificate: Certificate,
    /// Whether nginx listens on loopback addresses only.
    pub is_local: bool,
}

impl Target {
    /// The target that follows from a deployment.
    pub fn of(deployment: &Deployment) -> Self {
        let settings = &deployment.settings;
        let mut addresses = settings.tls_addresses(true).into_iter();
        let permitted = deployment.option("federation_domain_whitelist");
        Self {
            server_name: settings.server_name.clone(),
            base_url: settings.public_baseurl.clone(),
            federates: !matches!(permitted, Some(Value::Sequence(names)) if names.is_empty()),
            delegates: settings.serve_server_wellknown,
            has_calls: settings.rtc.is_on(),
            certificate: match (&settings.tls.acme, settings.tls.is_on()) {
                (Some(_), _) => Certificate::Acme,
                (None, true) => Certificate::Own,
                (None, false) => Certificate::OfProxy,
            },
            is_local: addresses.all(|address| address.is_loopback()),
        }
    }

    /// The hosts that are known before the first answer: those of the server name and of the URL for clients.
    pub fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![self.server_name.host().to_owned()];
        let of_url = self.base_url.as_ref().map(|url| url.host().to_owned());
        hosts.extend(of_url.filter(|host| *host != hosts[0]));
        hosts
    }
}
