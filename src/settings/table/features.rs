//! The sections of features for users: registration, e-mail, previews, bridges and calls.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{
    AbsolutePath, HostName, MailTls, Mailbox, Port, Token, TurnUri, Verification, Whole,
};
use crate::settings::value::{Raw, Value};
use std::net::IpAddr;

section! {
    /// Registration of accounts.
    registration: Registration {
        /// Allow users to register accounts.
        enabled: bool = "false", env "SYNAPSE_ENABLE_REGISTRATION";

        /// The proof that registration requires. `token`: a registration token from an administrator.
        /// `email`: an e-mail address (requires `email`). `captcha`: a reCAPTCHA (requires
        /// `recaptcha_public_key`). `none`: no proof, which admits spammers. `auto`: a reCAPTCHA if its
        /// key is set, otherwise a token.
        verification: Verification = "auto";

        /// Allow guests, who have no account and see only the rooms that admit guests.
        allow_guests: bool = "false", env "SYNAPSE_ALLOW_GUEST";

        /// The public key for reCAPTCHA.
        recaptcha_public_key: Option<Token>, env "SYNAPSE_RECAPTCHA_PUBLIC_KEY";
    }
}

section! {
    /// E-mail for password resets, registration and notifications.
    email: Email {
        /// Let Synapse send e-mail.
        enabled: bool = "false", env "SYNAPSE_EMAIL";

        /// The host name or IP address of the mail server.
        smtp_host: HostName = "localhost", env "SYNAPSE_EMAIL_SMTP_HOST";

        /// The port of the mail server.
        smtp_port: Port = "25", env "SYNAPSE_EMAIL_SMTP_PORT";

        /// The user name at the mail server. If empty, Synapse does not log in there.
        smtp_user: Option<Token>, env "SYNAPSE_EMAIL_SMTP_USER";

        /// A file that contains the password of smtp_user.
        smtp_password_file: Option<AbsolutePath>;

        /// The encryption of connections to the mail server. `implicit`: TLS from the start, as on port 465.
        /// `starttls`: TLS after the greeting, if the server offers it. `none`: never, for a mail server on
        /// this host whose certificate is not valid. `auto`: implicit on port 465, otherwise starttls.
        tls: MailTls = "auto";

        /// The name in the mail server's certificate, if it is not smtp_host, as with an address or a name of
        /// the local network there.
        tls_name: Option<HostName>;

        /// Send no mail to a server that does not offer encryption. A mail server on this host does not need
        /// encryption.
        require_transport_security: bool = "true";

        /// The sender, such as Example <noreply@example.org>. If empty, noreply@SERVER_NAME.
        from: Option<Mailbox>;
    }
}

section! {
    /// Previews of web pages to which messages link.
    url_previews: UrlPreviews {
        /// Let Synapse fetch these pages. It then connects to any public address; private ones are denied.
        enabled: bool = "false", env "SYNAPSE_URL_PREVIEW_ENABLED";
    }
}

section! {
    /// Application services: bridges and bots.
    app_services: AppServices {
        /// A directory of registration files; their names end in .yaml or .yml.
        directory: Option<AbsolutePath>, env "SYNAPSE_AS_REGISTRATION_DIR";

        /// Registration files in other directories.
        files: Vec<AbsolutePath>, env "SYNAPSE_APPSERVICES";
    }
}

section! {
    /// TURN servers, which relay calls of clients behind firewalls.
    turn: Turn {
        /// The URIs of TURN servers for clients, such as turn:turn.example.org?transport=udp. If empty,
        /// those of `coturn`, if it is enabled.
        uris: Vec<TurnUri>, env "SYNAPSE_TURN_URIS";
    }
}

section! {
    /// A TURN server on this host.
    coturn: Coturn {
        /// Run coturn on this host.
        enabled: bool = "false", env "SYNAPSE_ENABLE_BUILTIN_COTURN";

        /// The first UDP port for relayed calls. Each relayed stream takes one port, and a video call of two
        /// dual-stack devices up to 24.
        min_port: Whole<1_024, 65_535> = "49153", env "COTURN_MIN_PORT";

        /// The last UDP port for relayed calls.
        max_port: Whole<1_024, 65_535> = "49652", env "COTURN_MAX_PORT";

        /// The public address of this host, to be set behind NAT. If empty, internal_ip.
        external_ip: Option<IpAddr>, env "COTURN_EXTERNAL_IP";

        /// The local address that coturn uses. If empty, the address of the default route.
        internal_ip: Option<IpAddr>, env "COTURN_INTERNAL_IP";

        /// The port for clients without TLS, UDP and TCP.
        port: Port = "3478";

        /// The port for clients over TLS, UDP and TCP. Used only if tls.certificate is set.
        tls_port: Port = "5349";

        /// Also collect the metrics of coturn. If coturn was built without Prometheus support, only the
        /// relays in use are counted.
        metrics: bool = "false", env "COTURN_METRICS";
    }
}

impl Registration {
    /// The verification, with `auto` resolved.
    pub fn decided(&self) -> Verification {
        match self.verification {
            Verification::Auto if self.recaptcha_public_key.is_some() => Verification::Captcha,
            Verification::Auto => Verification::Token,
            verification => verification,
        }
    }
}

impl Email {
    /// The encryption, with `auto` resolved. Port 465 is registered for implicit TLS (RFC 8314, 7.3).
    pub fn decided_tls(&self) -> MailTls {
        match self.tls {
            MailTls::Auto if self.smtp_port.get() == 465 => MailTls::Implicit,
            MailTls::Auto => MailTls::Starttls,
            tls => tls,
        }
    }
}
