//! Listeners of the adopted server: nginx takes over those for clients and other homeservers, and a note reports each
//! of the others.

use super::Adopted;
use super::imported::{Imported, scalar};
use serde_yaml::{Mapping, Value};

/// One entry of `listeners` (config_documentation.md).
struct Listener<'a> {
    entry: &'a Mapping,
}

impl Listener<'_> {
    fn word(&self, key: &str) -> Option<String> {
        self.entry.get(key).and_then(scalar)
    }

    fn is_http(&self) -> bool {
        self.word("type").as_deref() == Some("http")
    }

    fn tls(&self) -> bool {
        // Synapse reads booleans of YAML 1.1.
        let on = ["true", "yes", "on", "True", "Yes", "On"];
        self.word("tls").is_some_and(|word| on.contains(&&*word))
    }

    /// Whether the listener serves this resource.
    fn serves(&self, resource: &str) -> bool {
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
            .any(|name| name == resource)
    }

    /// The bind addresses as the settings write them; all addresses if the listener names none.
    fn addresses(&self) -> Vec<String> {
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
        if words.is_empty() {
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

impl std::fmt::Display for Listener<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = self.word("type").unwrap_or_default();
        match (self.word("port"), self.word("path")) {
            (Some(port), _) => write!(f, "listener {kind} on port {port}"),
            (None, path) => write!(f, "listener {kind} at {}", path.unwrap_or_default()),
        }
    }
}

/// Converts the listeners into settings and notes.
pub(super) fn import(adopted: &Adopted, imported: &mut Imported) {
    let listed = adopted
        .options
        .get("listeners")
        .and_then(Value::as_sequence);
    let listeners: Vec<Listener> = listed
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            Some(Listener {
                entry: entry.as_mapping()?,
            })
        })
        .collect();
    let mut rest: Vec<&Listener> = listeners.iter().collect();
    let mut pick = |fits: &dyn Fn(&Listener) -> bool| {
        let place = rest.iter().position(|listener| fits(listener))?;
        Some(rest.remove(place))
    };
    let port = |listener: &Listener| listener.is_http() && listener.word("port").is_some();
    let plain = pick(&|one| port(one) && !one.tls() && one.serves("client"));
    let secure = pick(&|one| port(one) && one.tls() && one.serves("client"));
    let federation = pick(&|one| port(one) && !one.tls() && one.serves("federation"));
    let secure_federation = pick(&|one| port(one) && one.tls() && one.serves("federation"));
    let socket = pick(&|one| one.is_http() && one.serves("client"));

    let mut set = |key, listener: &Listener| {
        if let Some(port) = listener.word("port") {
            imported.set(key, port);
        }
    };
    if let Some(listener) = federation {
        set("http_federation_port", listener);
    }
    if let Some(listener) = secure {
        set("tls.port", listener);
    }
    if let Some(listener) = secure_federation {
        set("tls.federation_port", listener);
    }
    if let Some(listener) = plain {
        set("http_port", listener);
    }
    if let Some(path) = socket.and_then(|listener| listener.word("path")) {
        imported.set("nginx.listen_unix_socket", path);
    }
    // TLS listeners come first: addresses that the internet reaches must not change, and plain HTTP is often for this
    // host only.
    let listeners = [secure, secure_federation, plain, federation];
    let mut listeners = listeners.into_iter().flatten();
    if let Some(first) = listeners.next() {
        imported.set("bind_addresses", first.addresses().join(", "));
        for other in listeners {
            if other.addresses() != first.addresses() {
                imported.note(format!(
                    "{other}: nginx listens on the addresses of the other listeners, bind_addresses"
                ));
            }
        }
    }
    if secure.or(secure_federation).is_some() {
        for (key, setting) in [
            ("tls_certificate_path", "tls.certificate"),
            ("tls_private_key_path", "tls.key"),
        ] {
            if let Some(path) = adopted.text(key) {
                imported.set(setting, path);
            }
        }
    }
    if plain.is_none() {
        imported.note("the adopted server has no plain HTTP listener for clients; nginx serves plain HTTP on http_port");
    }
    for listener in rest {
        let instead = match listener.word("type").as_deref() {
            Some("metrics") => "set metrics.enabled; the settings decide the ports",
            Some("manhole") => "set manhole.main; the settings decide the port",
            Some("replication") => "the workers of synapse-workers have their own",
            _ => "nginx serves all requests on its own ports",
        };
        imported.note(format!("{listener} is not imported: {instead}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Adopted, import};

    const HEAD: &str = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
                        database: {name: sqlite3, args: {database: /d/h.db}}\n";

    fn imported(listeners: &str) -> (Vec<(&'static str, String)>, Vec<String>) {
        let text = format!("{HEAD}{listeners}\n");
        let adopted = Adopted::new(vec![("/h.yaml".to_owned(), text.into())]).unwrap();
        let imported = import(&adopted, None);
        let known = ["server_name", "media_store_path", "database.kind"];
        let settings = imported.settings.into_iter();
        let settings = settings.filter(|(key, _)| !known.contains(key));
        (settings.collect(), imported.notes)
    }

    #[test]
    fn the_listener_of_debian_becomes_that_of_nginx() {
        let (settings, notes) = imported(
            "listeners:\n- {port: 8009, tls: false, type: http, x_forwarded: true, bind_addresses: ['::1', '127.0.0.1'],\n\
             resources: [{names: [client, federation], compress: false}]}",
        );
        let wanted = [
            ("http_port", "8009".to_owned()),
            ("bind_addresses", "::1, 127.0.0.1".to_owned()),
        ];
        assert_eq!(settings, wanted);
        assert_eq!(notes, [""; 0]);
    }

    #[test]
    fn tls_and_federation_have_settings_and_the_rest_is_noted() {
        let (settings, notes) = imported(
            "tls_certificate_path: /c.pem\ntls_private_key_path: /c.key\nlisteners:\n\
             - {port: 443, tls: yes, type: http, bind_addresses: [''], resources: [{names: [client]}]}\n\
             - {port: 8448, tls: true, type: http, bind_address: 192.0.2.1, resources: [{names: [federation]}]}\n\
             - {port: 8010, type: http, resources: [{names: federation}]}\n\
             - {port: 9000, type: metrics}\n- {port: 9001, type: manhole}\n\
             - {path: /run/x/s.sock, type: http, resources: [{names: [client]}]}",
        );
        let wanted = [
            ("http_federation_port", "8010"),
            ("tls.port", "443"),
            ("tls.federation_port", "8448"),
            ("nginx.listen_unix_socket", "/run/x/s.sock"),
            ("bind_addresses", "0.0.0.0, ::"),
            ("tls.certificate", "/c.pem"),
            ("tls.key", "/c.key"),
        ];
        assert_eq!(settings, wanted.map(|(key, value)| (key, value.to_owned())));
        let notes = notes.join("\n");
        for part in [
            "listener http on port 8448: nginx listens",
            "nginx serves plain HTTP on http_port",
            "listener metrics on port 9000 is not imported: set metrics.enabled",
            "listener manhole on port 9001",
        ] {
            assert!(notes.contains(part), "{notes}");
        }
        assert_eq!(notes.lines().count(), 4, "{notes}");
    }
}
