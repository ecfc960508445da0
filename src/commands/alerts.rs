//! `alerts test`: sends a test alert, and waits until it is delivered.

use super::installed::running;
use crate::cli::{AlertsAction, Common};
use crate::deployment::endpoints::{Endpoints, ServicePort};
use crate::failure::{Code, Failure};
use crate::host::alertmanager::{self, Destination, Integration};
use crate::host::{self};
use crate::report::{Report, outln};
use crate::request::Request;
use crate::settings::Settings;
use crate::settings::types::Webhook;
use crate::settings::value::Scalar;
use serde_json::json;
use std::process::ExitCode;

/// Runs `synapse-workers alerts`.
///
/// # Errors
/// When no alerts are delivered on this host, when Alertmanager does not answer, or when the test alert is not delivered.
pub fn alerts(common: &Common, action: AlertsAction) -> Result<ExitCode, Failure> {
    let AlertsAction::Test = action;
    if !host::is_root() {
        return Err(
            Failure::preflight("alerts needs root, to read the log of Alertmanager")
                .help("run the same command with sudo"),
        );
    }
    let (_, request) = running()?;
    test(common, &request)
}

fn test(common: &Common, request: &Request) -> Result<ExitCode, Failure> {
    let settings = &request.settings;
    let destinations = destinations(settings);
    if destinations.is_empty() {
        return Err(
            Failure::preflight("alerts.email and alerts.webhook are empty")
                .help("set one of them in the settings file, then: synapse-workers install"),
        );
    }
    let report = Report::new(common.json);
    let port = Endpoints::new(settings, &request.topology).service(ServicePort::Alertmanager);
    let name = settings.server_name.as_str();
    let outcomes = report
        .step("send a test alert", || {
            alertmanager::test(port, name, &destinations)
        })
        .map_err(|error| {
            Failure::failed(format!("Alertmanager cannot be used: {error:#}"))
                .help("journalctl -e -u synapse-alertmanager, then: synapse-workers install")
        })?;
    let delivered = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    if common.json {
        let rows = outcomes.iter().map(|(destination, outcome)| {
            json!({
                "by": destination.integration.name(),
                "to": receiver(*destination, settings),
                "delivered": outcome.is_ok(),
                "problem": outcome.as_ref().err(),
            })
        });
        outln!("{}", json!(rows.collect::<Vec<_>>()));
    }
    for (destination, outcome) in &outcomes {
        let to = receiver(*destination, settings);
        match outcome {
            Ok(()) => report.say(format!("delivered {to}")),
            Err(reason) => {
                report.complain(format!(
                    "error: not delivered {to}: {}",
                    reason.escape_debug()
                ));
                let help = remedy(destination.integration, reason, settings);
                report.complain(format!("help: {help}"));
            }
        }
    }
    Ok(match delivered {
        true => ExitCode::SUCCESS,
        false => Code::Failed.into(),
    })
}

/// The addresses that these settings deliver alerts to, in the order of `render/alerts.rs`.
fn destinations(settings: &Settings) -> Vec<Destination> {
    let alerts = &settings.alerts;
    let email = (0..alerts.email.len()).map(|place| Destination {
        integration: Integration::Email,
        place,
    });
    let webhook = alerts.webhook.as_ref().map(|_| Destination {
        integration: Integration::Webhook,
        place: 0,
    });
    email.chain(webhook).collect()
}

/// Who receives alerts at a destination, without a secret.
fn receiver(destination: Destination, settings: &Settings) -> String {
    let alerts = &settings.alerts;
    match (destination.integration, &alerts.webhook) {
        (Integration::Webhook, Some(Webhook::Url(url))) => format!("to the webhook {url}"),
        (Integration::Webhook, Some(Webhook::File(path))) => format!("to the webhook in {path}"),
        (Integration::Webhook, None) => "to the webhook".to_owned(),
        (Integration::Email, _) => {
            let to = alerts.email.get(destination.place);
            let to = to.map(Scalar::show).unwrap_or_default();
            let server = settings.mail_server_of_alerts();
            format!("to {to} by the mail server {}", server.place())
        }
    }
}

/// A text in a reason, and the remedy. `@` stands for the section of the settings with the mail server.
#[rustfmt::skip] // one reason per line
const REMEDIES: &[(&str, &str)] = &[
    ("STARTTLS",               "set @.tls to implicit with port 465, or use a mail server that offers STARTTLS"),
    ("certificate",            "set @.tls_name to the name in the certificate of the mail server, or correct @.smtp_host"),
    ("unencrypted connection", "set @.tls to starttls or implicit: no password is sent in clear text"),
    ("550",                    "correct the address in alerts.email: the mail server refuses it"),
    ("auth",                   "correct @.smtp_user and the password in @.smtp_password_file"),
    ("lookup",                 "correct @.smtp_host"),
    ("connect",                "correct @.smtp_host and @.smtp_port, or start that mail server"),
];

/// How to deliver the next alert.
fn remedy(integration: Integration, reason: &str, settings: &Settings) -> String {
    let again = "then: synapse-workers install && synapse-workers alerts test";
    if integration == Integration::Webhook {
        return format!("correct alerts.webhook, or start the service that receives it, {again}");
    }
    let section = settings.mail_server_of_alerts().section;
    let known = REMEDIES.iter().find(|(text, _)| reason.contains(text));
    let help = known.map_or(
        "ask the administrator of the mail server, or set alerts.smtp_host to another one",
        |(_, help)| *help,
    );
    format!("{}, {again}", help.replace('@', section))
}
