//! The API of Alertmanager: its state, its counters and its alerts.

use super::destination::Integration;
use crate::deployment::endpoints::Endpoint;
use crate::host::probe::{self, Peer};
use anyhow::{Context, Result, ensure};
use std::time::Instant;

/// The attempts of one integration since Alertmanager started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Attempts that succeeded.
    pub(super) good: u64,
    /// Notifications that Alertmanager gave up.
    pub(super) lost: u64,
}

impl Attempts {
    /// Reads the metrics of Alertmanager. `notification_requests` counts each attempt, `notifications_failed` what none
    /// of them delivered (notify/notify.go).
    pub(super) fn of(metrics: &str, integration: Integration) -> Self {
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
    pub(super) fn outcome(self, before: &Self, expected: u64) -> Option<bool> {
        let good = self.good.saturating_sub(before.good);
        let lost = self.lost.saturating_sub(before.lost);
        (good + lost >= expected).then_some(good >= expected)
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

/// The attempts of each of these integrations.
pub(super) fn attempts(
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
pub(super) fn post(peer: &Peer, alerts: &serde_json::Value, end: Instant) -> Result<()> {
    let answer = probe::post(peer, "/api/v2/alerts", &alerts.to_string(), end)?;
    ensure!(
        answer.status == 200,
        "Alertmanager refuses the test alert with {}: {}",
        answer.status,
        answer.body.trim().escape_debug()
    );
    Ok(())
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
}
