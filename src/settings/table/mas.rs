//! The section of the Matrix Authentication Service.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{AbsolutePath, Network, ServiceUrl};
use crate::settings::value::{Raw, Value};

section! {
    /// The Matrix Authentication Service (MAS), in which users then register, log in and manage their devices.
    mas: Mas {
        /// The URL at which Synapse and nginx reach MAS. nginx forwards login, logout and refresh to it. Synapse
        /// then has no accounts with passwords and no logins of its own. If empty, MAS is not used.
        endpoint: Option<ServiceUrl>;

        /// A file that contains the secret shared with MAS, which is `matrix.secret` in its configuration. If empty,
        /// one is created in /etc/synapse-workers/secrets/mas_secret, for MAS to use.
        secret_file: Option<AbsolutePath>;

        /// The addresses from which MAS may use Synapse's API below /_synapse/mas/, besides this host, as in
        /// 172.17.0.0/16 for a container.
        allowed_addresses: Vec<Network>;
    }
}

impl Mas {
    /// Whether users log in at MAS.
    pub fn is_on(&self) -> bool {
        self.endpoint.is_some()
    }
}
