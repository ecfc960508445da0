//! The section of the delivery of alerts.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{AbsolutePath, HostName, MailTls, Mailbox, Port, Token, Webhook};
use crate::settings::value::{Raw, Value};

section! {
    /// Delivery of the alerts of Prometheus by Alertmanager. Requires metrics.enabled.
    alerts: Alerts {
        /// The e-mail addresses to which alerts are sent. If empty, none are sent by e-mail.
        email: Vec<Mailbox>;

        /// The sender of these messages. If empty, that of the section email.
        from: Option<Mailbox>;

        /// The host name or IP address of the mail server. If empty, the mail server of the section email with
        /// its user, password and encryption; if email.enabled is false, the one at port 25 of this host.
        smtp_host: Option<HostName>;

        /// The port of smtp_host.
        smtp_port: Port = "587";

        /// The user name at smtp_host. If empty, Alertmanager does not log in there.
        smtp_user: Option<Token>;

        /// A file that contains the password of smtp_user.
        smtp_password_file: Option<AbsolutePath>;

        /// The encryption of connections to smtp_host, as in email.tls. With starttls, nothing is sent to a
        /// server that does not offer it; with auto, a server on this host need not. Implicit TLS needs port 465.
        tls: MailTls = "auto";

        /// The name in the certificate of smtp_host, if it is another one.
        tls_name: Option<HostName>;

        /// The URL to which alerts are sent as JSON (HTTP POST), or the path of a file that contains it. A URL with
        /// a token or a password belongs in a file that only root can read.
        webhook: Option<Webhook>;
    }
}

impl Alerts {
    /// Whether alerts are delivered to anyone.
    pub fn is_on(&self) -> bool {
        !self.email.is_empty() || self.webhook.is_some()
    }
}
