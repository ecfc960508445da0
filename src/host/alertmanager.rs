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

    /// Whether a notification was delivered since earlier metrics; `None` if it was neither delivered nor given up.
    fn outcome(self, before: &Self) -> Option<bool> {
        match (self.good > before.good, self.lost > before.lost) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        }
    }
}

/// Sends a test alert of this server through the Alertmanager at a port, and waits until each integration has delivered it
/// or given up: the reason, if there is one. Another alert that is delivered meanwhile counts as well, because Alertmanager
/// does not tell them apart.
///
/// # Errors
/// When Alertmanager does not answer, or refuses the alert.
pub fn test(
    port: u16,
    server_name: &str,
    integrations: &[Integration],
) -> Result<Vec<(Integration, Result<(), String>)>> {
    let peer = Peer::At(Endpoint::Port(port));
    let end = Instant::now() + TEST_TIMEOUT;
    let begun = super::now();
    let before = attempts(&peer, integrations, end)?;
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
        let Ok(now) = attempts(&peer, integrations, Instant::now() + TEST_TIMEOUT) else {
            break;
        };
        let now = now
            .iter()
            .zip(&before)
            .map(|(now, before)| now.outcome(before));
        let now: Vec<Option<bool>> = now.collect();
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
    let outcomes = integrations.iter().zip(delivered).map(|(it, delivered)| {
        let outcome = match delivered {
            Some(true) => Ok(()),
            Some(false) | None => {
                Err(reason(*it, begun).unwrap_or_else(|| "no answer in time".to_owned()))
            }
        };
        (*it, outcome)
    });
    Ok(outcomes.collect())
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

fn attempts(peer: &Peer, integrations: &[Integration], end: Instant) -> Result<Vec<Attempts>> {
    let answer = probe::get(peer, "GET", "/metrics", end).context("Alertmanager")?;
    ensure!(
        answer.status == 200,
        "Alertmanager answers {}",
        answer.status
    );
    let of = |integration: &Integration| Attempts::of(&answer.body, *integration);
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

/// The error in the log of Alertmanager since this time, in seconds since 1970.
fn reason(integration: Integration, since: u64) -> Option<String> {
    let output = Tool::new("journalctl")
        .args(["-q", "--no-pager", "-o", "cat", "-u", units::ALERTMANAGER])
        .args([format!("--since=@{since}")])
        .output()
        .ok()?;
    last_error(&String::from_utf8_lossy(&output.stdout), integration)
}

/// The last error of an integration in lines of logfmt, in which a value with blanks is quoted: that of an attempt, whose
/// line names the integration, or the errors of all integrations of a receiver, with semicolons between them.
fn last_error(log: &str, integration: Integration) -> Option<String> {
    let place = format!("{TEST_RECEIVER}/{}[0]: ", integration.name());
    let attempt = format!(
        " receiver={TEST_RECEIVER} integration={}[0] ",
        integration.name()
    );
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
        let of = |log: &str| last_error(log, Integration::Email);
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
                last_error(&log, Integration::Webhook).as_deref(),
                Some(&*format!(
                    "Post \"{url}\": dial tcp 127.0.0.1:9001: connect: connection refused"
                ))
            );
        }
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
