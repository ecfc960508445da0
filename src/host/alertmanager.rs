//! Alertmanager on this host: a test alert, and whether it was delivered.

use super::probe::{self, Peer};
use super::tools::Tool;
use crate::deployment::endpoints::Endpoint;
use crate::render::alerts::{TEST_ALERT, TEST_RECEIVER};
use crate::state::units;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

/// The timeout of a test. Alertmanager repeats a failed attempt for 10 s, and an attempt may take as long as the mail
/// server takes to answer.
const TEST_TIMEOUT: Duration = Duration::from_secs(40);
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(100);

/// A way to deliver alerts, by its name in the metrics and logs of Alertmanager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integration {
    /// To addresses in `alerts.email`.
    Email,
    /// To `alerts.webhook`.
    Webhook,
}

impl Integration {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Webhook => "webhook",
        }
    }
}

/// An address that alerts are delivered to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination {
    /// How.
    pub integration: Integration,
    /// Its place among those of its integration in Alertmanager's configuration, from 0 on.
    pub place: usize,
}

/// The attempts of one integration since Alertmanager started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Attempts {
    /// Attempts that succeeded.
    good: u64,
    /// Notifications that Alertmanager gave up.
    lost: u64,
}

impl Attempts {
    /// Reads the metrics of Alertmanager. `notification_requests` counts each attempt, `notifications_failed` what none
    /// of them delivered (notify/notify.go).
    fn of(metrics: &str, integration: Integration) -> Self {
        let sum = |name: &str| {
            let label = format!("integration=\"{}\"", integration.name());
            let lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
            let of_integration =
                lines.filter(|rest| rest.starts_with('{') && rest.contains(&label));
            let values =
                of_integration.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok());
            values.sum::<u64>()
        };
        let attempts = sum("alertmanager_notification_requests_total");
        let failed = sum("alertmanager_notification_requests_failed_total");
        Self {
            good: attempts.saturating_sub(failed),
            lost: sum("alertmanager_notifications_failed_total"),
        }
    }

    /// Whether so many notifications were all delivered since earlier metrics; `None` as long as one of them was neither
    /// delivered nor given up.
    fn outcome(self, before: &Self, expected: u64) -> Option<bool> {
        let good = self.good.saturating_sub(before.good);
        let lost = self.lost.saturating_sub(before.lost);
        (good + lost >= expected).then_some(good >= expected)
    }
}

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
    let begun = super::now();
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

/// Whether Alertmanager is ready.
///
/// # Errors
/// When it does not answer, or is not ready.
pub fn ready(port: u16, end: Instant) -> Result<()> {
    let status = probe::status(&Peer::At(Endpoint::Port(port)), "/-/ready", end)?;
    ensure!(status == 200, "Alertmanager answers {status}");
    Ok(())
}

fn attempts(
    peer: &Peer,
    integrations: &[(Integration, u64)],
    end: Instant,
) -> Result<Vec<Attempts>> {
    let answer = probe::get(peer, "GET", "/metrics", end).context("Alertmanager")?;
    ensure!(
        answer.status == 200,
        "Alertmanager answers {}",
        answer.status
    );
    let of = |(integration, _): &(Integration, u64)| Attempts::of(&answer.body, *integration);
    Ok(integrations.iter().map(of).collect())
}

/// Adds or ends alerts (API v2, api/v2/openapi.yaml).
fn post(peer: &Peer, alerts: &serde_json::Value, end: Instant) -> Result<()> {
    let answer = probe::post(peer, "/api/v2/alerts", &alerts.to_string(), end)?;
    ensure!(
        answer.status == 200,
        "Alertmanager refuses the test alert with {}: {}",
        answer.status,
        answer.body.trim().escape_debug()
    );
    Ok(())
}

/// The log of Alertmanager since this time, in seconds since 1970; empty if it cannot be read.
fn log_since(time: u64) -> String {
    let output = Tool::new("journalctl")
        .args(["-q", "--no-pager", "-o", "cat", "-u", units::ALERTMANAGER])
        .args([format!("--since=@{time}")])
        .output();
    output.map_or_else(
        |_| String::new(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

/// The last error of a destination in lines of logfmt, in which a value with blanks is quoted: that of an attempt, whose
/// line names the destination, or the errors of all destinations of a receiver, with semicolons between them.
fn last_error(log: &str, destination: Destination) -> Option<String> {
    let name = format!("{}[{}]", destination.integration.name(), destination.place);
    let place = format!("{TEST_RECEIVER}/{name}: ");
    let attempt = format!(" receiver={TEST_RECEIVER} integration={name} ");
    let line = log
        .lines()
        .rev()
        .find(|line| line.contains(&place) || line.contains(&attempt))?;
    let (_, value) = line.split_once(" err=")?;
    // Go quotes like JSON, as far as these texts go.
    let mut quoted = serde_json::Deserializer::from_str(value).into_iter::<String>();
    let text = match quoted.next() {
        Some(Ok(text)) => text,
        Some(Err(_)) | None => value.split(' ').next().unwrap_or_default().to_owned(),
    };
    let own = text.split_once(&place).map_or(&*text, |(_, own)| own);
    let own = own
        .split_once(&format!("; {TEST_RECEIVER}/"))
        .map_or(own, |(own, _)| own);
    let cause = own
        .split_once(" attempts: ")
        .map_or(own, |(_, cause)| cause);
    Some(without_urls(cause))
}

/// An error without URLs: that of a webhook may be a secret, and Alertmanager before 0.28 prints it.
fn without_urls(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    let begin = |rest: &str| {
        let schemes = ["https://", "http://"].iter();
        schemes.filter_map(|scheme| rest.find(scheme)).min()
    };
    while let Some(at) = begin(rest) {
        let url = &rest[at..];
        // A URL ends at a blank or a quote, or at the colon before the cause.
        let end = url.find([' ', '"', '\n']).unwrap_or(url.len());
        let end = url[..end].strip_suffix(':').map_or(end, str::len);
        shown.push_str(&rest[..at]);
        shown.push('…');
        rest = &url[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_of_an_integration_are_summed_over_their_other_labels() {
        let metrics = "# TYPE alertmanager_notification_requests_total counter
alertmanager_notification_requests_total{integration=\"email\"} 5
alertmanager_notification_requests_total{integration=\"webhook\"} 9
alertmanager_notification_requests_failed_total{integration=\"email\"} 2
alertmanager_notifications_failed_total{integration=\"email\",reason=\"other\"} 1
alertmanager_notifications_failed_total{integration=\"email\",reason=\"clientError\"} 2
alertmanager_notifications_failed_total{integration=\"webhook\",reason=\"other\"} 7
";
        let email = Attempts::of(metrics, Integration::Email);
        assert_eq!(email, Attempts { good: 3, lost: 3 });
    }

    #[test]
    fn the_cause_is_found_in_the_logs_of_old_and_new_releases() {
        // 0.25 and 0.28.
        let attempt = r#"ts=2026-11-29T19:25:35.714Z caller=notify.go:732 level=warn component=dispatcher receiver=test integration=email[0] msg="Notify attempt failed, will retry later" attempts=1 err="dial tcp: \"x\" refused""#;
        let old = r#"ts=2026-11-29T19:25:35.693Z caller=dispatch.go:352 level=error component=dispatcher msg="Notify for alerts failed" num_alerts=1 err="test/webhook[0]: notify retry canceled after 7 attempts: Post \"http://127.0.0.1:9001/secret\": dial tcp 127.0.0.1:9001: connect: connection refused; test/email[0]: notify retry canceled after 7 attempts: establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused""#;
        let new = r#"time=2026-11-29T19:26:10.060Z level=ERROR source=dispatch.go:360 msg="Notify for alerts failed" component=dispatcher num_alerts=1 err="test/email[0]: notify retry canceled after 8 attempts: establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused; test/webhook[0]: notify retry canceled after 7 attempts: Post \"<redacted>\": dial tcp 127.0.0.1:9001: connect: connection refused""#;
        let other = r#"ts=2026-11-29T19:00:11.000Z level=error msg="Notify for alerts failed" err="administrator/email[0]: no""#;
        let first = |integration| Destination {
            integration,
            place: 0,
        };
        let of = |log: &str| last_error(log, first(Integration::Email));
        assert_eq!(of(attempt).as_deref(), Some("dial tcp: \"x\" refused"));
        assert_eq!(of(other), None);
        for (log, url) in [(old, "…"), (new, "<redacted>")] {
            let log = [attempt, log, other].join("\n");
            assert_eq!(
                of(&log).as_deref(),
                Some(
                    "establish connection to server: dial tcp 127.0.0.1:25: connect: connection refused"
                )
            );
            assert_eq!(
                last_error(&log, first(Integration::Webhook)).as_deref(),
                Some(&*format!(
                    "Post \"{url}\": dial tcp 127.0.0.1:9001: connect: connection refused"
                ))
            );
        }
    }

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

    #[test]
    fn no_url_is_in_the_cause() {
        // The second one is that of a status, in 0.25 and 0.26.
        for (text, shown) in [
            ("Post \"https://a.test/T0?x=1\": EOF", "Post \"…\": EOF"),
            (
                "unexpected status code 403: https://a.test:8/T0: no_team",
                "unexpected status code 403: …: no_team",
            ),
            ("http://a.test/b https://c.test/d", "… …"),
            ("connection refused", "connection refused"),
        ] {
            assert_eq!(without_urls(text), shown);
        }
    }
}
