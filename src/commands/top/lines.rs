//! The lines about the host and PostgreSQL, and the notation of figures.

use crate::advice::{PostgresLoad, Sample};
use crate::state::host_size::show_memory;

/// A figure that is not known.
pub(super) const NONE: &str = "-";

/// A time in milliseconds, or in seconds from one second on.
pub(super) fn time(seconds: Option<f64>) -> String {
    match seconds {
        None => NONE.to_owned(),
        Some(seconds) if seconds >= 1.0 => format!("{seconds:.1} s"),
        Some(seconds) => format!("{:.0} ms", seconds * 1000.0),
    }
}

/// One line about the host.
pub(super) fn host(sample: &Sample) -> String {
    let machine = &sample.machine;
    let clients = sample
        .clients
        .map_or(String::new(), |clients| format!(", {clients} clients"));
    format!(
        "host: {:.1} of {:.0} processors busy, load {:.1}, {} of {} free{clients}",
        machine.busy,
        machine.processors,
        machine.load,
        show_memory(machine.available),
        show_memory(machine.memory)
    )
}

/// One line about the server, and one about the statements that it executes, if there are any.
pub(super) fn postgres(found: &PostgresLoad) -> Vec<String> {
    let cpu = found
        .cpu
        .map_or(String::new(), |cpu| format!(" {cpu:.1} processors,"));
    let hits = found.hits.map_or(String::new(), |hits| {
        format!(", cache {:.1} %", hits * 100.0)
    });
    let mut lines = vec![format!(
        "PostgreSQL:{cpu} {} of {} connections, {:.0} commits/s{hits}",
        found.used, found.limit, found.commits
    )];
    if !found.active.is_empty() {
        let waits = found.active.iter();
        let waits: Vec<String> = waits
            .map(|(wait, count)| format!("{wait} {count:.1}"))
            .collect();
        lines.push(format!("statements in progress: {}", waits.join(", ")));
    }
    lines
}
