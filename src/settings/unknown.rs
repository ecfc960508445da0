//! Environment names that look like settings and are none: the note names the setting that was probably meant.

use super::row::Row;
use super::table::ROWS;
use crate::suggest::nearest;

/// The prefixes of names that are meant for the Docker image, with the section of settings that each stands for. Names
/// with SYNAPSE_ stand for any section.
const PREFIXES: [(&str, &str); 5] = [
    ("SYNAPSE_", ""),
    ("NGINX_", "nginx"),
    ("COTURN_", "coturn"),
    ("PROMETHEUS_", "metrics"),
    ("POSTGRES_", "database"),
];

/// Names of Synapse's own image (element-hq/synapse, docker/) that differ from those of *Synapse with workers*, with
/// the setting to use.
const OF_SYNAPSES_IMAGE: &[(&str, &str)] = &[
    ("SYNAPSE_ENABLE_METRICS", "metrics.enabled"),
    ("SYNAPSE_METRICS_PORT", "metrics.port"),
    ("SYNAPSE_SMTP_HOST", "email.smtp_host"),
    ("SYNAPSE_SMTP_PORT", "email.smtp_port"),
    ("SYNAPSE_SMTP_USER", "email.smtp_user"),
    ("SYNAPSE_SMTP_PASSWORD", "smtp_password"),
    ("SYNAPSE_USE_UNIX_SOCKET", "sockets.public"),
    ("SYNAPSE_WORKERS", "workers"),
];

/// Whether the name has a prefix of the Docker image's names.
pub(super) fn is_of_image(name: &str) -> bool {
    split(name).is_some()
}

/// Whether a variable of the process environment is surely meant for this program. The environment also contains
/// variables of other programs, such as POSTGRES_ of a container, so only a name that a setting has counts, and with
/// SYNAPSE_ a typing error too.
pub(super) fn is_meant_here(name: &str) -> bool {
    setting(name).is_some() || (name.starts_with("SYNAPSE_") && similar(name).is_some())
}

/// The note on an unknown name.
pub(super) fn note(name: &str) -> String {
    let unknown = format!("unknown variable {name} is ignored");
    match (setting(name), similar(name)) {
        (Some(row), _) => match row.env.first() {
            Some(known) => format!("{unknown}; {known} sets `{}`", row.key),
            None => format!("{unknown}; use the setting `{}`", row.key),
        },
        (None, Some(known)) => format!("{unknown}; did you mean {known}?"),
        (None, None) => unknown,
    }
}

/// The name without its prefix, the prefix, and its section.
fn split(name: &str) -> Option<(&str, &'static str, &'static str)> {
    PREFIXES
        .iter()
        .find_map(|(prefix, section)| Some((name.strip_prefix(prefix)?, *prefix, *section)))
}

/// The setting that has this name: POSTGRES_CP_MAX is `database.cp_max`, SYNAPSE_REDIS_HOST is `redis.host`.
fn setting(name: &str) -> Option<&'static Row> {
    if let Some((_, key)) = OF_SYNAPSES_IMAGE.iter().find(|(known, _)| *known == name) {
        return Row::of(key);
    }
    let (rest, _, section) = split(name)?;
    let rest = rest.to_lowercase();
    ROWS.iter().find(|row| match section {
        "" => row.key.replace('.', "_") == rest,
        section => row.path() == (Some(section), rest.as_str()),
    })
}

/// The known name with the same prefix that differs by a typing error.
fn similar(name: &str) -> Option<&'static str> {
    let (rest, prefix, _) = split(name)?;
    let names = || ROWS.iter().flat_map(|row| row.env.iter().copied());
    let rests = names().filter_map(|known| known.strip_prefix(prefix));
    // An incomplete name, such as SYNAPSE_MAX_UPLOAD, is no typing error by the number of its edits.
    let mut longer = names().filter(|known| known.starts_with(name));
    let near = nearest(rest, rests)
        .and_then(|near| names().find(|known| known.strip_prefix(prefix) == Some(near)));
    let first = longer.next();
    match (first, longer.next()) {
        (Some(only), None) => Some(only),
        _ => near,
    }
}
