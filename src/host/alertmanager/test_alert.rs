//! A test alert, and whether it was delivered.

use super::api::{attempts, post};
use super::destination::{Destination, Integration};
use super::log::{last_error, log_since};
use crate::deployment::endpoints::Endpoint;
use crate::host::probe::Peer;
use crate::render::alerts::TEST_ALERT;
use anyhow::Result;
use serde_json::json;
use std::time::{Duration, Instant};

/// The timeout of a test. Alertmanager repeats a failed attempt for 10 s, and an attempt may take as long as the mail
/// server takes to answer.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// Sends a test alert of this server through the Alertmanager at a port, and waits until it is delivered to each destination
/// or given up: the reason, if there is one. Another alert that is delivered meanwhile counts as well, because Alertmanager
/// does not tell them apart.
///
/// # Errors
/// When Alertmanager does not answer, or refuses the alert.
pub fn test(
    port: u16,
    server_name: &str,
    destinations: &[Destination],
) -> Result<Vec<(Destination, Result<(), String>)>> {
    let peer = Peer::At(Endpoint::Port(port));
    let end = Instant::now() + TEST_TIMEOUT;
    let begun = crate::host::now();
    let integrations = counted(destinations);
    let before = attempts(&peer, &integrations, end)?;
    let labels = json!({
        "alertname": TEST_ALERT,
        "severity": "info",
        "instance": server_name,
        // Alertmanager does not repeat a notification about the same labels.
        "test": begun.to_string(),
    });
    let annotations = json!({
        "summary": format!("A test of the alerts of {server_name}"),
        "run": "nothing: the alerts of this server arrive here",
    });
    post(
        &peer,
        &json!([{"labels": labels, "annotations": annotations}]),
        end,
    )?;
    let mut delivered: Vec<Option<bool>> = vec![None; integrations.len()];
    let mut last: Vec<Option<bool>> = delivered.clone();
    while delivered.contains(&None) && Instant::now() < end {
        std::thread::sleep(PAUSE);
        // What was not delivered in time has no outcome, and the alert has to end in any case.
        let Ok(now) = attempts(&peer, &integrations, Instant::now() + TEST_TIMEOUT) else {
            break;
        };
        let now = now.iter().zip(&before).zip(&integrations);
        let now: Vec<Option<bool>> = now
            .map(|((now, before), (_, expected))| now.outcome(before, *expected))
            .collect();
        // Alertmanager counts an attempt before its failure, so an outcome counts from the second reading on.
        for ((outcome, now), last) in delivered.iter_mut().zip(&now).zip(&last) {
            *outcome = outcome.or(now.filter(|_| now == last));
        }
        last = now;
    }
    // An alert without an end lasts five minutes, in which Alertmanager would try again.
    let ended = json!([{
        "labels": labels,
        "startsAt": "1970-01-01T00:00:00Z",
        "endsAt": "1970-01-01T00:00:01Z",
    }]);
    post(&peer, &ended, Instant::now() + TEST_TIMEOUT)?;
    let log = log_since(begun);
    let of = |it: Integration| integrations.iter().position(|(known, _)| *known == it);
    let outcomes = destinations.iter().map(|destination| {
        let delivered = of(destination.integration).and_then(|at| delivered[at]);
        (
            *destination,
            outcome(*destination, delivered, destinations, &log),
        )
    });
    Ok(outcomes.collect())
}

/// The integrations of these destinations, each with the number of its destinations.
fn counted(destinations: &[Destination]) -> Vec<(Integration, u64)> {
    let mut counted: Vec<(Integration, u64)> = Vec::new();
    for Destination { integration, .. } in destinations {
        match counted.iter_mut().find(|(known, _)| known == integration) {
            Some((_, count)) => *count += 1,
            None => counted.push((*integration, 1)),
        }
    }
    counted
}

/// The outcome for one destination. `delivered` is that of its integration, whose metrics do not tell destinations apart:
/// the log has the errors of those that failed.
fn outcome(
    destination: Destination,
    delivered: Option<bool>,
    all: &[Destination],
    log: &str,
) -> Result<(), String> {
    if delivered == Some(true) {
        return Ok(());
    }
    let failed = |it: &Destination| last_error(log, *it).is_some();
    let mut others = all
        .iter()
        .filter(|it| it.integration == destination.integration);
    match last_error(log, destination) {
        Some(reason) => Err(reason),
        None if delivered.is_some() && others.any(failed) => Ok(()),
        None => Err("no answer in time".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::api::Attempts;
    use super::*;

    #[test]
    fn an_address_that_is_refused_keeps_nothing_from_the_others() {
        let [first, second] = [0, 1].map(|place| Destination {
            integration: Integration::Email,
            place,
        });
        let all = [first, second];
        assert_eq!(counted(&all), [(Integration::Email, 2)]);
        let (before, now) = (Attempts { good: 7, lost: 3 }, Attempts { good: 8, lost: 3 });
        assert_eq!(now.outcome(&before, 2), None);
        assert_eq!(Attempts { lost: 4, ..now }.outcome(&before, 2), Some(false));
        assert_eq!(Attempts { good: 9, ..now }.outcome(&before, 2), Some(true));
        let log = r#"level=ERROR msg="Notify for alerts failed" err="test/email[1]: notify retry canceled after 7 attempts: 550 no such user""#;
        assert_eq!(outcome(first, Some(false), &all, log), Ok(()));
        let refused = Err("550 no such user".to_owned());
        assert_eq!(outcome(second, Some(false), &all, log), refused);
        // Without an outcome or a reason, nothing is known to be delivered.
        let silent = Err("no answer in time".to_owned());
        assert_eq!(outcome(first, None, &all, log), silent);
        assert_eq!(outcome(first, Some(false), &all, ""), silent);
    }
}
