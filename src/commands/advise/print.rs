//! The text of `advise`.

use super::Advice;
use crate::printable::printable;
use crate::report::outln;
use crate::request::Request;
use crate::settings::types::DatabaseKind;

/// Prints the recommendations, or that there are none, and the load that the host can still carry.
pub(super) fn print(advice: &Advice, request: &Request) {
    for (at, one) in advice.recommendations.iter().enumerate() {
        outln!("{}. {}", at + 1, printable(&one.problem));
        for evidence in &one.evidence {
            outln!("     {}", printable(evidence));
        }
        for line in one.change.lines() {
            outln!("   {}", printable(&line));
        }
        outln!("   expected effect: {}\n", printable(&one.effect));
    }
    match advice.recommendations.len() {
        0 => outln!("Nothing to recommend: no process, pool or cache is a bottleneck."),
        1 => {}
        _ => outln!(
            "The first one has the largest effect. Apply one, and measure again before the next."
        ),
    }
    for line in advice.outlook.iter().flat_map(super::Outlook::lines) {
        outln!("{}", printable(&line));
    }
    for note in notes(advice, request) {
        outln!("note: {note}");
    }
}

/// What was not measured.
fn notes(advice: &Advice, request: &Request) -> Vec<String> {
    let mut notes = Vec::new();
    if !advice.metrics {
        let reason = match request.settings.metrics.enabled {
            true => "the metrics of Synapse do not answer (synapse-workers verify)",
            false => "metrics.enabled is false",
        };
        notes.push(format!(
            "{reason}, so requests, event loops, pools and caches of Synapse were not measured"
        ));
    }
    let used = matches!(
        request.database(),
        DatabaseKind::Local | DatabaseKind::External
    );
    if used && advice.sample.postgres.is_none() {
        notes.push(
            "PostgreSQL did not answer, so it was not measured (synapse-workers verify)".to_owned(),
        );
    }
    notes
}
