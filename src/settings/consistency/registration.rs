//! Rules for registration and e-mail.

use super::{Rule, violated};
use crate::settings::types::{MailTls, Verification};

pub(super) static RULES: &[Rule] = &[
    |settings| {
        // config/mas.py, `check_config_conflicts`.
        let both = settings.mas.is_on() && settings.registration.enabled;
        violated(both, "registration.enabled", || {
            (
                "`registration.enabled` is true, but users register in the Matrix Authentication Service \
                 (`mas.endpoint`), and Synapse refuses registration of its own"
                    .to_owned(),
                "set `registration.enabled` to false, and password_registration_enabled in the section account of the \
                 Matrix Authentication Service"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let registration = &settings.registration;
        let captcha = registration.verification == Verification::Captcha;
        let missing = captcha && registration.recaptcha_public_key.is_none();
        violated(missing, "registration.verification", || {
            (
                "`registration.verification` is captcha, but `registration.recaptcha_public_key` is not set".to_owned(),
                "set `registration.recaptcha_public_key`, or choose another verification".to_owned(),
            )
        })
    },
    |settings| {
        let email = settings.registration.verification == Verification::Email;
        let missing = email && !settings.email.enabled;
        violated(missing, "registration.verification", || {
            (
                "`registration.verification` is email, but `email.enabled` is false".to_owned(),
                "set `email.enabled` to true, or choose another verification".to_owned(),
            )
        })
    },
    |settings| {
        // Synapse refuses these two together (config/emailconfig.py).
        let email = &settings.email;
        let clear = email.decided_tls() == MailTls::None && email.require_transport_security;
        violated(clear, "email.tls", || {
            (
                "`email.tls` is none, but `email.require_transport_security` is true".to_owned(),
                "set `email.require_transport_security` to false, or choose another `email.tls`"
                    .to_owned(),
            )
        })
    },
    |settings| {
        let email = &settings.email;
        let port = email.smtp_port.get();
        let plain = email.decided_tls() == MailTls::Implicit && [25, 587].contains(&port);
        violated(plain, "email.tls", || {
            (
                format!(
                    "`email.tls` is implicit, but mail servers greet in clear text on port {port}"
                ),
                "set `email.smtp_port` to 465, or `email.tls` to starttls".to_owned(),
            )
        })
    },
];
