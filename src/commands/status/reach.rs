//! The last verdict of `reach`.

use super::super::time::utc;
use crate::host;
use crate::reach::Verdict;
use crate::report::Report;

/// Prints the verdict with its age, or how to get one.
pub(super) fn print(verdict: Option<&Verdict>, report: &Report) {
    let Some(verdict) = verdict else {
        report.say("reachability: not checked yet (synapse-workers reach)");
        return;
    };
    let age = age(host::now().saturating_sub(verdict.time));
    report.say(format!(
        "reachability: {verdict}, as of {} ({age} ago)",
        utc(verdict.time)
    ));
    if let Some(failed) = &verdict.failed {
        report.say(format!(
            "  help: {}; then: synapse-workers reach",
            failed.help
        ));
    }
}

/// A time span in its largest unit.
fn age(seconds: u64) -> String {
    let units = [(86_400, "days"), (3600, "hours"), (60, "minutes")];
    let found = units.iter().find(|(unit, _)| seconds >= 2 * unit);
    found.map_or_else(
        || format!("{seconds} seconds"),
        |(unit, name)| format!("{} {name}", seconds / unit),
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_age_has_its_largest_unit() {
        for (seconds, text) in [
            (0, "0 seconds"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(super::age(seconds), text);
        }
    }
}
