//! The Matrix Authentication Service of an adopted server. The adopted file decides about it, because it may contain the
//! shared secret; the settings receive its URL, which nginx and the units need.

use super::Adopted;
use super::imported::Imported;
use crate::deployment::mas::KEY;
use crate::deployment::options::is_true;
use serde_yaml::Value;

/// Synapse's default of `endpoint` (config/mas.py).
const DEFAULT: &str = "http://localhost:8080";

impl Adopted {
    /// The URL of the Matrix Authentication Service, if the adopted files enable it.
    pub fn mas_endpoint(&self) -> Option<&str> {
        let options = self.option(KEY)?;
        let enabled = options.get("enabled").is_some_and(is_true);
        let endpoint = options.get("endpoint").and_then(Value::as_str);
        enabled.then_some(endpoint.unwrap_or(DEFAULT))
    }
}

pub(super) fn import(adopted: &Adopted, imported: &mut Imported) {
    let Some(endpoint) = adopted.mas_endpoint() else {
        return;
    };
    imported.set("mas.endpoint", endpoint);
    imported.note(format!(
        "{KEY}: nginx forwards login, logout and refresh to it; if it runs in a container or on another host, set \
         mas.allowed_addresses to its address, so that it can use /_synapse/mas/"
    ));
}
