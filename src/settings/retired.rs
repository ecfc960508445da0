//! Environment names of the Docker image that have no effect here. They are accepted, with a note on the replacement.

/// A retired name and its note, which completes "NAME has no effect: …".
pub static RETIRED: &[(&str, &str)] = &[
    (
        "SYNAPSE_CONFIG_DIR",
        "the settings are in /etc/synapse-workers, your own Synapse options in /etc/synapse-workers/homeserver.d",
    ),
    (
        "SYNAPSE_DATA_DIR",
        "the data is in /var/lib/synapse; media_store_path moves the media to another directory",
    ),
    (
        "SYNAPSE_CONFIG_PATH",
        "homeserver.yaml is generated from the settings; `install --adopt FILE` adopts an existing one",
    ),
    (
        "SYNAPSE_NO_TLS",
        "nginx serves TLS if tls.certificate and tls.key are set",
    ),
    (
        "SYNAPSE_USE_EXPERIMENTAL_FORKING_LAUNCHER",
        "systemd starts every process",
    ),
    (
        "SYNAPSE_METRICS_UNIX_SOCKETS",
        "Prometheus cannot scrape Unix sockets, so metrics are served on 127.0.0.1",
    ),
];

/// The note on a name; `None` if the name is not retired.
pub fn retired(name: &str) -> Option<String> {
    let (name, note) = RETIRED.iter().find(|(retired, _)| *retired == name)?;
    Some(format!("{name} has no effect: {note}"))
}
