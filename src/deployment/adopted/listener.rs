//! One entry of `listeners`: what it serves, where, and which parts of it have no counterpart in nginx.

use super::imported::{is_off, number, scalar};
use crate::pyyaml;
use serde_yaml::{Mapping, Value};

/// Keys of a listener that the settings express (config/server.py, `parse_listener_def`).
const TAKEN_OVER: &[&str] = &[
    "port",
    "path",
    "type",
    "tls",
    "bind_addresses",
    "bind_address",
    "x_forwarded",
    "resources",
];

/// Keys of a listener that have no effect after adoption, each with the reason.
const DROPPED: &[(&str, &str)] = &[
    (
        "additional_resources",
        "the listeners of this program serve no resources of modules; a module can register them itself with \
         register_web_resource, and main serves those",
    ),
    ("mode", "nginx opens its socket to every account"),
    ("tag", "nginx's requests have no such name in the log"),
    ("request_id_header", "Synapse numbers the requests itself"),
];

/// Resources that nginx does not serve, each with the reason.
const RESOURCES: &[(&str, &str)] = &[
    (
        "metrics",
        "set metrics.enabled; the settings decide the ports",
    ),
    (
        "replication",
        "the workers of synapse-workers have their own",
    ),
    ("webclient", "Synapse has no web client any more"),
];

/// One entry of `listeners` (config_documentation.md).
pub(super) struct Listener<'a> {
    pub entry: &'a Mapping,
}

impl Listener<'_> {
    pub fn word(&self, key: &str) -> Option<String> {
        self.entry.get(key).and_then(scalar)
    }

    pub fn is_http(&self) -> bool {
        self.word("type").as_deref() == Some("http")
    }

    pub fn tls(&self) -> bool {
        self.entry.get("tls").and_then(pyyaml::truth) == Some(true)
    }

    pub fn port(&self) -> Option<String> {
        self.entry.get("port").and_then(number)
    }

    /// The names of the resources that the listener serves.
    fn resources(&self) -> Vec<String> {
        let resources = self.entry.get("resources").and_then(Value::as_sequence);
        let names = resources
            .into_iter()
            .flatten()
            .filter_map(|one| one.get("names"));
        names
            .flat_map(|names| match names {
                Value::Sequence(names) => names.iter().filter_map(scalar).collect(),
                name => scalar(name).into_iter().collect::<Vec<_>>(),
            })
            .collect()
    }

    pub fn serves(&self, resource: &str) -> bool {
        self.resources().iter().any(|name| name == resource)
    }

    /// Why nginx serves none of the resources of the listener; `None` if it serves one of them.
    pub fn internal(&self) -> Option<&'static str> {
        let resources = self.resources();
        let reasons = resources.iter().map(|name| reason(name));
        reasons.collect::<Option<Vec<_>>>()?.first().copied()
    }

    /// A note on each part that nginx does not take over.
    pub fn dropped(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (key, value) in self.entry {
            let Some(key) = key.as_str() else { continue };
            if !is_off(value) && !TAKEN_OVER.contains(&key) {
                let reason = DROPPED.iter().find(|(known, _)| *known == key);
                let reason = reason.map_or("nginx has no such option", |(_, reason)| reason);
                notes.push(format!("{self}: `{key}` is not imported: {reason}"));
            }
        }
        let forwarded = self.entry.get("x_forwarded").and_then(pyyaml::truth);
        let addresses = self.addresses();
        let here = |address: &String| address == "::1" || address.starts_with("127.");
        if forwarded == Some(true) && self.port().is_some() && !addresses.iter().all(here) {
            notes.push(format!(
                "{self}: `x_forwarded` trusts every client; nginx trusts only the reverse proxies in trusted_proxies"
            ));
        }
        for name in self.resources() {
            if let Some(reason) = reason(&name) {
                notes.push(format!(
                    "{self}: the resource `{name}` is not imported: {reason}"
                ));
            }
        }
        notes
    }

    /// The bind addresses as the settings write them; all addresses if the listener names none.
    pub fn addresses(&self) -> Vec<String> {
        let listed = self
            .entry
            .get("bind_addresses")
            .and_then(Value::as_sequence);
        let single = self.word("bind_address");
        let words = listed
            .into_iter()
            .flatten()
            .filter_map(scalar)
            .chain(single);
        let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        // A socket of Synapse at `::` accepts IPv4 as well, unlike one of nginx.
        if words.is_empty() || words.iter().any(|word| word == "::") {
            return vec!["0.0.0.0".to_owned(), "::".to_owned()];
        }
        let resolved = |word: String| match word.as_str() {
            "localhost" => vec!["127.0.0.1".to_owned(), "::1".to_owned()],
            _ => vec![word],
        };
        let mut addresses: Vec<String> = Vec::new();
        for address in words.into_iter().flat_map(resolved) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }
}

/// Why nginx does not serve a resource.
fn reason(resource: &str) -> Option<&'static str> {
    let mut rows = RESOURCES.iter();
    Some(rows.find(|(known, _)| *known == resource)?.1)
}

impl std::fmt::Display for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.word("type").unwrap_or_default();
        match (self.port(), self.word("path")) {
            (Some(port), _) => write!(f, "listener {kind} on port {port}"),
            (None, path) => write!(f, "listener {kind} at {}", path.unwrap_or_default()),
        }
    }
}
