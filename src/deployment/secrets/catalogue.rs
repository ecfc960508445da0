//! The catalogue of secrets, and the source of each.

use super::super::Deployment;
use crate::settings::Settings;
use crate::settings::mail_server::ALERTS_PASSWORD;
use crate::settings::types::{self, AbsolutePath, DatabaseKind, Verification, Webhook};
use crate::state::paths;

/// A row of the catalogue of secrets.
pub struct Secret {
    /// The name of the file in the secrets directory.
    pub name: &'static str,
    /// Whether a random value is generated if none is provided and none exists. A secret that is not generated exists
    /// only if it is provided.
    pub generated: bool,
    /// Whether only root may read the file. Synapse's processes read the others.
    pub root_only: bool,
    /// Whether a process of this deployment reads it.
    pub wanted: fn(&Deployment) -> bool,
    /// Whether a process of Synapse on another host than the first, given by its name, reads it. That host then has a
    /// copy of the file; nothing is generated there.
    pub read_on_host: fn(&Deployment, &str) -> bool,
    /// The value from the environment or an env-file.
    pub provided: fn(&Settings) -> Option<&types::Secret>,
    /// The administrator's file that contains the value.
    pub file: fn(&Settings) -> Option<&AbsolutePath>,
    /// Whether Synapse cannot work without this secret although it cannot be generated.
    pub needed: fn(&Deployment) -> bool,
    /// How the administrator provides it, for messages.
    pub how_to_provide: &'static str,
    /// Whether a value can be used, and otherwise what is expected.
    pub accepts: fn(&str) -> Result<(), &'static str>,
}

/// The defaults of a row.
const GENERATED: Secret = Secret {
    name: "",
    generated: true,
    root_only: false,
    wanted: |_| true,
    read_on_host: |_, _| false,
    provided: |_| None,
    file: |_| None,
    needed: |_| false,
    how_to_provide: "",
    accepts: |_| Ok(()),
};

/// All secrets (for Synapse's `_path` options: config_documentation.md).
pub static SECRETS: &[Secret] = &[
    // rest/admin/users.py, /_synapse/admin/v1/register: only main serves it.
    Secret {
        name: "registration_shared_secret",
        wanted: not_adopted,
        provided: |settings| settings.registration_shared_secret.as_ref(),
        ..GENERATED
    },
    // server.py, get_macaroon_generator: every process that reads the token of a guest or writes a link to log in or to
    // unsubscribe. Without it, config/key.py derives another key.
    Secret {
        name: "macaroon_secret_key",
        wanted: not_adopted,
        read_on_host: everywhere,
        provided: |settings| settings.macaroon_secret_key.as_ref(),
        ..GENERATED
    },
    // api/urls.py, ConsentURIBuilder: every process that creates events, if users must agree to a policy.
    Secret {
        name: "form_secret",
        wanted: not_adopted,
        read_on_host: everywhere,
        provided: |settings| settings.form_secret.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "worker_replication_secret",
        wanted: |deployment| deployment.has_workers(),
        read_on_host: everywhere,
        ..GENERATED
    },
    Secret {
        name: OWN_REDIS_PASSWORD,
        wanted: Deployment::opens_redis,
        read_on_host: everywhere,
        ..GENERATED
    },
    // On the first host, Synapse uses a Unix socket.
    Secret {
        name: OWN_POSTGRES_PASSWORD,
        root_only: true,
        wanted: Deployment::opens_database,
        read_on_host: everywhere,
        ..GENERATED
    },
    // rest/client/voip.py.
    Secret {
        name: "turn_shared_secret",
        read_on_host: |deployment, host| {
            deployment.answers_on(host, "GET", "/_matrix/client/v3/voip/turnServer")
        },
        wanted: |deployment| {
            deployment.settings.coturn.enabled || !deployment.settings.turn.uris.is_empty()
        },
        provided: |settings| settings.turn_shared_secret.as_ref(),
        ..GENERATED
    },
    // api/auth/mas.py: every process that checks a token, and every one that MAS calls. config/mas.py requires it.
    Secret {
        name: "mas_secret",
        read_on_host: everywhere,
        wanted: |deployment| {
            deployment.settings.mas.is_on() && deployment.adopted.mas_endpoint().is_none()
        },
        file: |settings| settings.mas.secret_file.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "manhole_password",
        read_on_host: |deployment, _| deployment.settings.manhole.workers,
        wanted: |deployment| {
            deployment.settings.manhole.main || deployment.settings.manhole.workers
        },
        ..GENERATED
    },
    Secret {
        name: paths::BACKUP_PASSWORD,
        root_only: true,
        wanted: |deployment| deployment.settings.backup.is_on(),
        ..GENERATED
    },
    // handlers/ui_auth/checkers.py: registration.
    Secret {
        name: "recaptcha_private_key",
        generated: false,
        read_on_host: |deployment, host| {
            deployment.answers_on(host, "POST", "/_matrix/client/v3/register")
        },
        wanted: |deployment| {
            deployment
                .settings
                .registration
                .recaptcha_public_key
                .is_some()
        },
        provided: |settings| settings.recaptcha_private_key.as_ref(),
        needed: |deployment| {
            let registration = &deployment.settings.registration;
            registration.enabled && registration.decided() == Verification::Captcha
        },
        how_to_provide: "set SYNAPSE_RECAPTCHA_PRIVATE_KEY once, in the environment or an --env-file",
        ..GENERATED
    },
    Secret {
        name: "smtp_password",
        generated: false,
        read_on_host: Deployment::mails_from,
        wanted: |deployment| {
            deployment.settings.email.enabled && deployment.settings.email.smtp_user.is_some()
        },
        provided: |settings| settings.smtp_password.as_ref(),
        file: |settings| settings.email.smtp_password_file.as_ref(),
        needed: |_| true,
        how_to_provide: "set email.smtp_password_file, or set SYNAPSE_EMAIL_SMTP_PASS once, in the environment or an --env-file; \
                         or leave email.smtp_user empty",
        ..GENERATED
    },
    Secret {
        name: ALERTS_PASSWORD,
        generated: false,
        root_only: true,
        wanted: |deployment| {
            let alerts = &deployment.settings.alerts;
            !alerts.email.is_empty() && alerts.smtp_user.is_some()
        },
        file: |settings| settings.alerts.smtp_password_file.as_ref(),
        needed: |_| true,
        how_to_provide: "set alerts.smtp_password_file, or leave alerts.smtp_user empty",
        ..GENERATED
    },
    Secret {
        name: "alerts_webhook",
        generated: false,
        root_only: true,
        wanted: |deployment| matches!(deployment.settings.alerts.webhook, Some(Webhook::File(_))),
        file: |settings| match &settings.alerts.webhook {
            Some(Webhook::File(path)) => Some(path),
            Some(Webhook::Url(_)) | None => None,
        },
        accepts: |text| match types::is_webhook_url(text) {
            true => Ok(()),
            false => Err("an http or https URL"),
        },
        ..GENERATED
    },
    Secret {
        name: "postgres_password",
        generated: false,
        read_on_host: everywhere,
        wanted: |deployment| {
            deployment.database() == DatabaseKind::External && !deployment.opens_database()
        },
        provided: |settings| settings.postgres_password.as_ref(),
        file: |settings| settings.database.password_file.as_ref(),
        how_to_provide: "set database.password_file, or set POSTGRES_PASSWORD once, in the environment or an --env-file",
        ..GENERATED
    },
    Secret {
        name: "redis_password",
        generated: false,
        read_on_host: everywhere,
        wanted: |deployment| deployment.has_workers() && deployment.settings.redis.host.is_some(),
        file: |settings| settings.redis.password_file.as_ref(),
        // config/redis.py: a user name requires a password.
        needed: |deployment| deployment.settings.redis.username.is_some(),
        how_to_provide: "set redis.password_file, or leave redis.username empty",
        ..GENERATED
    },
];

/// The name under which Synapse's signing key goes to another host.
pub const SIGNING_KEY: &str = "signing_key";

/// The name of the secret with which processes on other hosts log in to the PostgreSQL of the first host.
pub const OWN_POSTGRES_PASSWORD: &str = "own_postgres_password";

/// The name of the secret that this program's own Redis asks for if it serves other hosts.
pub const OWN_REDIS_PASSWORD: &str = "own_redis_password";

/// Every process of Synapse reads such a secret.
fn everywhere(_: &Deployment, _: &str) -> bool {
    true
}

/// An adopted server keeps its own secrets.
fn not_adopted(deployment: &Deployment) -> bool {
    deployment.settings.adopt.config.is_empty()
}

impl Deployment {
    /// The name of the secret with which the processes of Synapse log in to PostgreSQL over the network.
    pub fn database_password(&self) -> &'static str {
        match self.opens_database() && self.host.is_some() {
            true => OWN_POSTGRES_PASSWORD,
            false => "postgres_password",
        }
    }

    /// The secrets that the deployment uses.
    pub fn secrets(&self) -> impl Iterator<Item = &'static Secret> {
        SECRETS.iter().filter(move |secret| (secret.wanted)(self))
    }
}

impl Secret {
    /// Whether the environment, an env-file or a file of the administrator provides the secret.
    pub fn is_provided(&self, settings: &Settings) -> bool {
        (self.provided)(settings).is_some() || (self.file)(settings).is_some()
    }
}

/// The secret with this name.
pub fn secret(name: &str) -> Option<&'static Secret> {
    SECRETS.iter().find(|secret| secret.name == name)
}
