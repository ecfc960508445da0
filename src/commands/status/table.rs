//! The table of processes.

use super::Line;
use crate::cli::Common;
use crate::commands::time::utc;
use crate::report::outln;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

/// The style of a line whose process is down or unhealthy.
const FAILING: Style = AnsiColor::Red.on_default();

/// Prints a line for each process, and the memory of all processes together.
pub(super) fn print(common: &Common, lines: &[Line]) {
    let width = lines.iter().map(|line| line.name.len()).max();
    let width = width.unwrap_or(0).max(5);
    let colour = !common.no_color && AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
    outln!(
        "{:<width$}  {:<10} {:>7} {:>8} {:>8} {:>8}  {:<20}  {:<10} ROLES",
        "NAME",
        "STATE",
        "PID",
        "MEMORY",
        "PRIVATE",
        "SHARED",
        "SINCE",
        "HEALTH"
    );
    for line in lines {
        let text = format!(
            "{:<width$}  {:<10} {:>7} {:>8} {:>8} {:>8}  {:<20}  {:<10} {}",
            line.name,
            line.state,
            line.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            megabytes(line.memory),
            megabytes(line.parts.map(|parts| parts.private)),
            megabytes(line.parts.map(|parts| parts.shared)),
            line.since.map_or("-".to_owned(), utc),
            line.health,
            line.roles.join(" ")
        );
        if colour && !line.is_healthy() {
            outln!("{FAILING}{text}{FAILING:#}");
        } else {
            outln!("{}", text.trim_end());
        }
    }
    let parts = || lines.iter().filter_map(|line| line.parts);
    if parts().next().is_some() {
        let private = parts().map(|parts| parts.private).sum();
        let shared = parts().map(|parts| parts.shared).sum();
        outln!(
            "{:<width$}  {:<10} {:>7} {:>8} {:>8} {:>8}",
            "total",
            "",
            "",
            "",
            megabytes(Some(private)),
            megabytes(Some(shared))
        );
    }
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or("-".to_owned(), |bytes| format!("{} MB", bytes / 1_000_000))
}
