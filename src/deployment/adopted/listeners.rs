//! Listeners of the adopted server: nginx takes over those for clients and other homeservers, and a note reports each
//! of the others.

use super::imported::Imported;
use super::listener::Listener;
use super::{Adopted, Origin};
use serde_yaml::Value;

impl Adopted {
    /// Whether the adopted server listened at this Unix socket.
    pub fn listened_at(&self, socket: &str) -> bool {
        all(self).any(|listener| listener.word("path").as_deref() == Some(socket))
    }
}

fn all(adopted: &Adopted) -> impl Iterator<Item = Listener<'_>> {
    let listed = adopted.options.get("listeners");
    let entries = listed.and_then(Value::as_sequence).into_iter().flatten();
    entries.filter_map(|entry| {
        Some(Listener {
            entry: entry.as_mapping()?,
        })
    })
}

/// Converts the listeners into settings and notes.
pub(super) fn import(adopted: &Adopted, origin: Origin, imported: &mut Imported) {
    let listeners: Vec<Listener> = all(adopted).collect();
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
    let addresses = |listener: &Listener| match origin {
        Origin::Host => listener.addresses(),
        Origin::Container => here(),
    };
    let tls = secure.or(secure_federation).map(addresses);
    let http = plain.map_or_else(here, addresses);
    let public = tls.as_ref().unwrap_or(&http);
    imported.set("bind_addresses", public.join(", "));
    if *public != http {
        imported.set("http_bind_addresses", http.join(", "));
    }
    let pairs = [(secure_federation, tls.as_ref()), (federation, Some(&http))];
    for (listener, addresses) in pairs {
        if let (Some(listener), Some(addresses)) = (listener, addresses)
            && origin == Origin::Host
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
    if origin == Origin::Container && (plain.is_some() || tls.is_some()) {
        imported.note(
            "the listeners have addresses of the container, so nginx listens on 127.0.0.1 only; if ports of the container \
             were published to other addresses, set bind_addresses",
        );
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
        let instead = match (listener.word("type").as_deref(), listener.internal()) {
            (Some("metrics"), _) => "set metrics.enabled; the settings decide the ports",
            (Some("manhole"), _) => "set manhole.main; the settings decide the port",
            (Some("replication"), _) => "the workers of synapse-workers have their own",
            (_, Some(reason)) => reason,
            _ => "nginx serves all requests on its own ports",
        };
        imported.note(format!("{listener} is not imported: {instead}"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Adopted, Origin, import};

    const HEAD: &str = "server_name: a.test\nsigning_key_path: /k\nmedia_store_path: /m\n\
                        database: {name: sqlite3, args: {database: /d/h.db}}\n";

    fn imported(listeners: &str) -> (Vec<(&'static str, String)>, Vec<String>) {
        let text = format!("{HEAD}{listeners}\n");
        let adopted = Adopted::new(vec![("/h.yaml".to_owned(), text.into())]).unwrap();
        let imported = import(&adopted, None, Origin::Host);
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
            (
                "- {port: 8008, type: http, bind_addresses: ['::'], resources: [{names: [client]}]}".to_owned(),
                "http_port=8008 bind_addresses=0.0.0.0,::",
            ),
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
