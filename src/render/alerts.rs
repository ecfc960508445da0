//! Delivery of alerts: Alertmanager's unit, its configuration, which is composed with its secrets, the text of mail,
//! and the alert for alerts that do not arrive.
//!
//! Options: Alertmanager's documentation, "Configuration", as of 0.25. Its options for a password and a URL in a file
//! are newer than the Alertmanager of Debian 12, so the composed file contains them.

use super::sandbox::Sandbox;
use super::{Input, StateBuilder, filters};
use crate::deployment::endpoints::ServicePort;
use crate::settings::Settings;
use crate::settings::types::{Mailbox, Webhook};
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-alertmanager.service")]
struct Unit<'a> {
    sandbox: Sandbox,
    program: &'a str,
    configuration: String,
    storage: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "alertmanager/alertmanager.yml")]
struct Configuration<'a> {
    mail: Option<Mail<'a>>,
    webhook: Option<&'a str>,
    /// The path of the text of mail.
    texts: String,
    /// The name of the alert that `alerts test` sends.
    test: &'a str,
    receivers: [Receiver; 2],
}

/// E-mail to the administrators.
struct Mail<'a> {
    to: Vec<String>,
    from: String,
    /// Host and port of the mail server.
    place: String,
    /// The name with which Alertmanager introduces itself there (RFC 5321, 4.1.1.1).
    hello: &'a str,
    user: Option<&'a str>,
    password: &'a str,
    starttls: bool,
    tls_name: Option<&'a str>,
}

/// A receiver. Both have the same addresses.
struct Receiver {
    name: &'static str,
    /// Whether it is also notified when an alert has ended.
    resolved: bool,
}

const RECEIVERS: [Receiver; 2] = [
    Receiver {
        name: "administrator",
        resolved: true,
    },
    Receiver {
        name: TEST_RECEIVER,
        resolved: false,
    },
];

/// The receiver of the alert that `alerts test` sends.
pub const TEST_RECEIVER: &str = "test";
/// The name of that alert.
pub const TEST_ALERT: &str = "TestAlert";
/// The name of the composed file with Alertmanager's configuration.
pub const CONFIGURATION: &str = "alertmanager.yml";
/// The text of mail, by its path in a generation.
const TEXTS: &str = "alertmanager/mail.tmpl";

/// Whether alerts are delivered.
pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.alerts.is_on()
}

/// Adds Alertmanager, and the rule of Prometheus about it.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let settings = &input.settings;
    let unit = Unit {
        sandbox: builder.sandbox(units::ALERTMANAGER)?,
        program: &input.facts.alertmanager,
        configuration: paths::secret(CONFIGURATION),
        storage: paths::ALERTMANAGER,
        port: input.endpoints().service(ServicePort::Alertmanager),
    };
    builder.unit(units::ALERTMANAGER, unit.render()?);
    let configuration = Configuration {
        mail: (!settings.alerts.email.is_empty()).then(|| mail(settings)),
        webhook: settings
            .alerts
            .webhook
            .as_ref()
            .map(|webhook| match webhook {
                Webhook::Url(url) => url.as_str(),
                Webhook::File(_) => "@alerts_webhook@",
            }),
        texts: format!("{}/{TEXTS}", paths::CURRENT),
        test: TEST_ALERT,
        receivers: RECEIVERS,
    };
    builder.composed(CONFIGURATION, configuration.render()?);
    let texts = include_str!("../../templates/alertmanager/mail.tmpl");
    builder.add(TEXTS, texts.as_bytes().to_vec(), &[]);
    let rules = include_str!("../../templates/prometheus/rules/delivery.yml");
    builder.add(
        "prometheus/rules/delivery.yml",
        rules.as_bytes().to_vec(),
        &[],
    );
    Ok(())
}

fn mail(settings: &Settings) -> Mail<'_> {
    let server = settings.mail_server_of_alerts();
    let to = settings.alerts.email.iter().map(Mailbox::as_str);
    Mail {
        to: to.map(mailbox).collect(),
        from: mailbox(&settings.sender_of_alerts()),
        place: server.place(),
        hello: settings.server_name.host(),
        user: server.user,
        password: server.password,
        starttls: server.requires_starttls(),
        tls_name: server.tls_name,
    }
}

/// A mailbox with its name in quotes (RFC 5322, 3.4), and not as a template of Alertmanager. The setting has no quotes.
/// Without a name that is not ASCII: Alertmanager would encode it together with the address (notify/email/email.go).
fn mailbox(text: &str) -> String {
    let text = match text.split_once('<') {
        Some((name, address)) if !name.is_ascii() => format!("<{address}"),
        Some((name, address)) if !name.trim().is_empty() => {
            format!("\"{}\" <{address}", name.trim())
        }
        _ => text.to_owned(),
    };
    text.replace("{{", "{{ \"{{\" }}")
}
