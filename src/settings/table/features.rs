//! The sections of features for users: registration, e-mail, previews and bridges.

use crate::settings::fragment::Values;
use crate::settings::origin::SettingsError;
use crate::settings::row::{Row, Section, section};
use crate::settings::types::{AbsolutePath, HostName, MailTls, Mailbox, Port, Token, Verification};
use crate::settings::value::{Raw, Value};

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
    /// The encryption, with `auto` resolved.
    pub fn decided_tls(&self) -> MailTls {
        self.tls.at(self.smtp_port)
    }
}
