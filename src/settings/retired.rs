//! Environment names of the Docker image that no longer have a meaning. They are accepted, with a note that names their
//! replacement.

/// A retired name and its note, which completes "NAME is not used: …".
pub static RETIRED: &[(&str, &str)] = &[
    (
        "SYNAPSE_CONFIG_DIR",
        "settings are in /etc/synapse-workers, your own Synapse options in its homeserver.d",
    ),
    (
        "SYNAPSE_DATA_DIR",
        "data is in /var/lib/synapse; media_store_path moves media elsewhere",
    ),
    (
        "SYNAPSE_CONFIG_PATH",
        "homeserver.yaml is made from the settings; an existing one is taken over by install --adopt FILE",
    ),
    (
        "SYNAPSE_NO_TLS",
        "nginx speaks TLS when tls.certificate and tls.key are set",
    ),
    (
        "SYNAPSE_USE_EXPERIMENTAL_FORKING_LAUNCHER",
        "systemd starts every process",
    ),
    (
        "SYNAPSE_METRICS_UNIX_SOCKETS",
        "Prometheus cannot scrape Unix sockets, so metrics are on 127.0.0.1",
    ),
];

/// The note on a name; `None` if the name is not retired.
pub fn retired(name: &str) -> Option<String> {
    let (name, note) = RETIRED.iter().find(|(retired, _)| *retired == name)?;
    Some(format!("{name} is not used: {note}"))
}
