//! The mail server that alerts are sent through, and the sender of mail.

use super::Settings;
use super::types::{HostName, MailTls, Token, is_loopback};
use super::value::Scalar;

/// A mail server with the credentials for it.
pub struct MailServer<'a> {
    /// The section of the settings that describes it: `alerts` or `email`.
    pub section: &'static str,
    /// The host name or IP address.
    pub host: &'a str,
    /// The TCP port.
    pub port: u16,
    /// The user name; `None` if nothing logs in there.
    pub user: Option<&'a str>,
    /// The name of the secret with the password of that user.
    pub password: &'static str,
    /// The encryption, with `auto` resolved.
    pub tls: MailTls,
    /// Whether the settings leave the encryption to this program.
    pub is_auto: bool,
    /// The name in the certificate, if it is not the host.
    pub tls_name: Option<&'a str>,
}

/// The name of the secret with the password of `alerts.smtp_user`.
pub const ALERTS_PASSWORD: &str = "alerts_smtp_password";

impl MailServer<'_> {
    /// Whether the connection must change to TLS after the greeting. A mail server on this host need not have a
    /// valid certificate, unless the settings ask for the encryption.
    pub fn requires_starttls(&self) -> bool {
        self.tls == MailTls::Starttls && !(self.is_auto && is_loopback(self.host))
    }

    /// Host and port.
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Settings {
    /// The mail server for alerts.
    pub fn mail_server_of_alerts(&self) -> MailServer<'_> {
        let (alerts, email) = (&self.alerts, &self.email);
        if let Some(host) = &alerts.smtp_host {
            return MailServer {
                section: "alerts",
                host: host.as_str(),
                port: alerts.smtp_port.number(),
                user: alerts.smtp_user.as_ref().map(Token::as_str),
                password: ALERTS_PASSWORD,
                tls: alerts.tls.at(alerts.smtp_port),
                is_auto: alerts.tls == MailTls::Auto,
                tls_name: alerts.tls_name.as_ref().map(HostName::as_str),
            };
        }
        if !email.enabled {
            return MailServer {
                section: "alerts",
                host: "localhost",
                port: 25,
                user: None,
                password: ALERTS_PASSWORD,
                tls: MailTls::None,
                is_auto: true,
                tls_name: None,
            };
        }
        MailServer {
            section: "email",
            host: email.smtp_host.as_str(),
            port: email.smtp_port.number(),
            user: email.smtp_user.as_ref().map(Token::as_str),
            password: "smtp_password",
            tls: email.decided_tls(),
            is_auto: email.tls == MailTls::Auto,
            tls_name: email.tls_name.as_ref().map(HostName::as_str),
        }
    }

    /// The sender of Synapse's mail.
    pub fn mail_sender(&self) -> String {
        match &self.email.from {
            Some(from) => from.show(),
            None => format!("noreply@{}", self.server_name.host()),
        }
    }

    /// The sender of alerts.
    pub fn sender_of_alerts(&self) -> String {
        let own = self.alerts.from.as_ref().map(Scalar::show);
        own.unwrap_or_else(|| self.mail_sender())
    }
}
