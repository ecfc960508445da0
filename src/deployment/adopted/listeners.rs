//! Listeners of the adopted server: nginx takes over those for clients and other homeservers, and a note reports each
//! of the others.

use super::Adopted;
use super::imported::{Imported, number, scalar};
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
        self.entry.get("tls").and_then(pyyaml::truth) == Some(true)
    }

    fn port(&self) -> Option<String> {
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

    fn serves(&self, resource: &str) -> bool {
        self.resources().iter().any(|name| name == resource)
    }

    /// A note on each part that nginx does not take over.
    fn dropped(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for (key, value) in self.entry {
            let Some(key) = key.as_str() else { continue };
            let empty = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Sequence(items) => items.is_empty(),
                Value::Mapping(keys) => keys.is_empty(),
                _ => false,
            };
            if !empty && !TAKEN_OVER.contains(&key) {
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
            if let Some((_, reason)) = RESOURCES.iter().find(|(known, _)| *known == name) {
                notes.push(format!(
                    "{self}: the resource `{name}` is not imported: {reason}"
                ));
            }
        }
        notes
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
        match (self.port(), self.word("path")) {
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
    let port = |listener: &Listener| listener.is_http() && listener.port().is_some();
    let plain = pick(&|one| port(one) && !one.tls() && one.serves("client"));
    let secure = pick(&|one| port(one) && one.tls() && one.serves("client"));
    let federation = pick(&|one| port(one) && !one.tls() && one.serves("federation"));
    let secure_federation = pick(&|one| port(one) && one.tls() && one.serves("federation"));
    let socket = pick(&|one| one.is_http() && one.serves("client"));

    // Adoption opens no port that was not open: a listener for clients or for other homeservers alone is the listener
    // for both.
    let (plain, federation) = match (plain, federation) {
        (None, federation) => (federation, None),
        both => both,
    };
    let mut set = |key, listener: Option<&Listener>| {
        if let Some(port) = listener.and_then(Listener::port) {
            imported.set(key, port);
        }
    };
    set("http_federation_port", federation);
    set("tls.port", secure.or(secure_federation));
    set("tls.federation_port", secure_federation.or(secure));
    set("http_port", plain);
    if let Some(path) = socket.and_then(|listener| listener.word("path")) {
        imported.set("nginx.listen_unix_socket", path);
    }
    let here = || vec!["127.0.0.1".to_owned()];
    let tls = secure.or(secure_federation).map(Listener::addresses);
    let http = plain.map_or_else(here, Listener::addresses);
    let public = tls.as_ref().unwrap_or(&http);
    imported.set("bind_addresses", public.join(", "));
    if *public != http {
        imported.set("http_bind_addresses", http.join(", "));
    }
    let pairs = [(secure_federation, tls.as_ref()), (federation, Some(&http))];
    for (listener, addresses) in pairs {
        if let (Some(listener), Some(addresses)) = (listener, addresses)
            && listener.addresses() != *addresses
        {
            imported.note(format!(
                "{listener}: nginx listens on the addresses of the listener for clients, {}",
                addresses.join(", ")
            ));
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
        imported.note(
            "the adopted server has no plain HTTP listener; nginx serves plain HTTP on http_port for this host only",
        );
    }
    for listener in [plain, secure, federation, secure_federation, socket] {
        let dropped = listener.map(Listener::dropped).unwrap_or_default();
        for note in dropped {
            imported.note(note);
        }
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
            ("tls.port", "443"),
            ("tls.federation_port", "8448"),
            ("http_port", "8010"),
            ("nginx.listen_unix_socket", "/run/x/s.sock"),
            ("bind_addresses", "0.0.0.0, ::"),
            ("tls.certificate", "/c.pem"),
            ("tls.key", "/c.key"),
        ];
        assert_eq!(settings, wanted.map(|(key, value)| (key, value.to_owned())));
        let notes = notes.join("\n");
        for part in [
            "listener http on port 8448: nginx listens",
            "listener metrics on port 9000 is not imported: set metrics.enabled",
            "listener manhole on port 9001",
        ] {
            assert!(notes.contains(part), "{notes}");
        }
        assert_eq!(notes.lines().count(), 3, "{notes}");
    }

    /// The listeners of an adopted server, and the settings of ports and addresses that follow.
    #[test]
    fn adoption_opens_no_port_that_was_not_open() {
        const HTTPS: &str = "tls: true, type: http, resources: [{names: [client, federation]}]";
        for (listeners, expected) in [
            (
                "- {path: /run/x/s.sock, type: http, resources: [{names: [client]}]}".to_owned(),
                "nginx.listen_unix_socket=/run/x/s.sock bind_addresses=127.0.0.1",
            ),
            (
                format!("- {{port: 8448, {HTTPS}}}"),
                "tls.port=8448 tls.federation_port=8448 bind_addresses=0.0.0.0,:: http_bind_addresses=127.0.0.1",
            ),
            (
                format!(
                    "- {{port: 8448, {HTTPS}}}\n- {{port: 8008, type: http, bind_addresses: ['127.0.0.1'], resources: \
                     [{{names: [client]}}]}}"
                ),
                "tls.port=8448 tls.federation_port=8448 http_port=8008 bind_addresses=0.0.0.0,:: \
                 http_bind_addresses=127.0.0.1",
            ),
            (
                "- {port: 443, tls: on, type: http, bind_addresses: ['192.0.2.1'], resources: [{names: client}]}"
                    .to_owned(),
                "tls.port=443 tls.federation_port=443 bind_addresses=192.0.2.1 http_bind_addresses=127.0.0.1",
            ),
            (
                "- {port: 8448, type: http, resources: [{names: [federation]}]}".to_owned(),
                "http_port=8448 bind_addresses=0.0.0.0,::",
            ),
            (" []".to_owned(), "bind_addresses=127.0.0.1"),
        ] {
            let (settings, _) = imported(&format!("listeners:\n{listeners}"));
            let settings = settings.into_iter();
            let settings: Vec<String> = settings
                .map(|(key, value)| format!("{key}={}", value.replace(' ', "")))
                .collect();
            assert_eq!(settings.join(" "), expected, "{listeners}");
        }
    }

    #[test]
    fn every_dropped_part_of_a_listener_is_noted() {
        let (_, notes) = imported(
            "listeners:\n- {port: 8008, type: http, x_forwarded: yes, tag: x, request_id_header: X-Id, other: 1, mode: null,\n\
             additional_resources: {/_matrix/my: {module: m.M}},\n\
             resources: [{names: [client, metrics, replication], compress: true}]}",
        );
        let notes = notes.join("\n");
        for part in [
            "listener http on port 8008: `additional_resources` is not imported: ",
            "`x_forwarded` trusts every client",
            "`tag` is not imported",
            "`request_id_header` is not imported",
            "`other` is not imported",
            "the resource `metrics` is not imported: set metrics.enabled",
            "the resource `replication` is not imported",
        ] {
            assert!(notes.contains(part), "{part}: {notes}");
        }
        assert_eq!(notes.lines().count(), 7, "{notes}");
    }
}
