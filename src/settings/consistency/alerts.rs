//! Rules for the section `alerts`.

use super::{Rule, violated};
use crate::settings::types::MailTls;

/// The only port at which Alertmanager uses implicit TLS.
const PORT: u32 = MailTls::IMPLICIT_PORT;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let alerts = &settings.alerts;
        let key = match alerts.email.is_empty() {
            true => "alerts.webhook",
            false => "alerts.email",
        };
        violated(alerts.is_on() && !settings.metrics.enabled, key, || {
            (
                format!(
                    "`{key}` is set, but `metrics.enabled` is false, and Prometheus finds the alerts"
                ),
                format!("set `metrics.enabled` to true, or remove `{key}`"),
            )
        })
    },
    |settings| {
        let alerts = &settings.alerts;
        let without = alerts.smtp_user.is_some() && alerts.smtp_host.is_none();
        violated(without, "alerts.smtp_user", || {
            (
                "`alerts.smtp_user` is set, but `alerts.smtp_host` is not".to_owned(),
                "set `alerts.smtp_host`, or remove `alerts.smtp_user`".to_owned(),
            )
        })
    },
    |settings| {
        let server = settings.mail_server_of_alerts();
        let other = server.tls == MailTls::Implicit && u32::from(server.port) != PORT;
        let key = match server.section {
            "email" => "email.tls",
            _ => "alerts.tls",
        };
        violated(other && !settings.alerts.email.is_empty(), key, || {
            (
                format!(
                    "`{key}` is implicit and the port {}, and Alertmanager uses implicit TLS at port {PORT} only",
                    server.port
                ),
                format!("set `alerts.smtp_host` with the port {PORT}, or with starttls"),
            )
        })
    },
    |settings| {
        let server = settings.mail_server_of_alerts();
        let key = match server.section {
            "email" => "email.smtp_host",
            _ => "alerts.smtp_host",
        };
        let is_v6 = server.host.contains(':') && !settings.alerts.email.is_empty();
        // It forgets the brackets around the address (config/config.go, `HostPort`).
        violated(is_v6, key, || {
            (
                format!("`{key}` is an IPv6 address, to which Alertmanager cannot connect"),
                "set `alerts.smtp_host` to a host name".to_owned(),
            )
        })
    },
];
