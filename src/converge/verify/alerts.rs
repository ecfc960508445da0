//! Probe of the delivery of alerts: Alertmanager is ready, and Prometheus sends alerts to it.

use super::Expected;
use crate::deployment::endpoints::{Endpoint, loopback};
use crate::host::{self, Host, Peer, alertmanager};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::time::Instant;

/// Prometheus looks for Alertmanager every five seconds (discovery/manager.go), so this may fail shortly after a change.
pub(super) fn delivery(_: &Host, expected: &Expected, end: Instant) -> Result<String> {
    let Some(ports) = &expected.alerting else {
        return Ok("not used".to_owned());
    };
    alertmanager::ready(ports.alertmanager, end)?;
    let peer = Peer::At(Endpoint::Port(ports.prometheus));
    let answer = host::get_as_host(&peer, "/api/v1/alertmanagers", end)?;
    let answer: Value = serde_json::from_str(&answer.body).context("the answer of Prometheus")?;
    let place = format!("http://{}/", loopback(ports.alertmanager));
    let known = answer["data"]["activeAlertmanagers"].as_array();
    let known = known
        .into_iter()
        .flatten()
        .filter_map(|it| it["url"].as_str());
    let found = known.into_iter().any(|url| url.starts_with(&place));
    ensure!(
        found,
        "Prometheus does not send alerts to Alertmanager at {place}\n    see: journalctl -e -u synapse-prometheus"
    );
    Ok("Alertmanager is ready, and Prometheus knows it".to_owned())
}
