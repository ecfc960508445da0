//! Secrets: what there is, where each comes from, and the files that are composed with them.
//!
//! A secret is a file in the directory of secrets, known to Synapse by path. Where a program has no option for a path,
//! a file is *composed*: a template in the generation names the secret as `@name@`, and the value takes its place in
//! a copy that only the program can read.

use crate::settings::Settings;
use crate::settings::types::{AbsolutePath, DatabaseKind, Secret as Given, Verification};
use crate::settings::value::Scalar;

/// The part of a deployment that decides which secrets it has.
#[derive(Clone, Copy)]
pub struct Conditions<'a> {
    pub settings: &'a Settings,
    pub workers: bool,
    /// Which database serves.
    pub database: DatabaseKind,
}

/// One secret.
pub struct Secret {
    /// The file's name in the directory of secrets.
    pub name: &'static str,
    /// Made of random bits where none is given and there is none; one that is not, is there only if it is given.
    pub generated: bool,
    pub wanted: fn(&Conditions) -> bool,
    /// The value from the environment or an env-file.
    pub given: fn(&Settings) -> Option<&Given>,
    /// A file of the administrator's that has it.
    pub file: fn(&Settings) -> Option<&AbsolutePath>,
    /// Whether Synapse does not work without, where it cannot be made.
    pub needed: fn(&Conditions) -> bool,
    /// How it is given.
    pub way: &'static str,
}

/// What most rows have in common.
const GENERATED: Secret = Secret {
    name: "",
    generated: true,
    wanted: |_| true,
    given: |_| None,
    file: |_| None,
    needed: |_| false,
    way: "",
};

/// Every secret (for Synapse's `_path` options: config_documentation.md).
pub static SECRETS: &[Secret] = &[
    Secret {
        name: "registration_shared_secret",
        wanted: not_adopted,
        given: |settings| settings.registration_shared_secret.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "macaroon_secret_key",
        wanted: not_adopted,
        given: |settings| settings.macaroon_secret_key.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "form_secret",
        wanted: not_adopted,
        given: |settings| settings.form_secret.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "worker_replication_secret",
        wanted: |deployment| deployment.workers,
        ..GENERATED
    },
    Secret {
        name: "turn_shared_secret",
        wanted: |deployment| {
            deployment.settings.coturn.enabled || !deployment.settings.turn.uris.is_empty()
        },
        given: |settings| settings.turn_shared_secret.as_ref(),
        ..GENERATED
    },
    Secret {
        name: "manhole_password",
        wanted: |deployment| {
            deployment.settings.manhole.main || deployment.settings.manhole.workers
        },
        ..GENERATED
    },
    Secret {
        name: "recaptcha_private_key",
        generated: false,
        wanted: |deployment| {
            deployment
                .settings
                .registration
                .recaptcha_public_key
                .is_some()
        },
        given: |settings| settings.recaptcha_private_key.as_ref(),
        needed: |deployment| {
            let registration = &deployment.settings.registration;
            registration.enabled && registration.decided() == Verification::Captcha
        },
        way: "give SYNAPSE_RECAPTCHA_PRIVATE_KEY once, in the environment or an --env-file",
        ..GENERATED
    },
    Secret {
        name: "smtp_password",
        generated: false,
        wanted: |deployment| {
            deployment.settings.email.enabled && deployment.settings.email.smtp_user.is_some()
        },
        given: |settings| settings.smtp_password.as_ref(),
        file: |settings| settings.email.smtp_password_file.as_ref(),
        needed: |_| true,
        way: "set email.smtp_password_file, or give SYNAPSE_EMAIL_SMTP_PASS once; \
              or leave email.smtp_user empty",
    },
    Secret {
        name: "postgres_password",
        generated: false,
        wanted: |deployment| deployment.database == DatabaseKind::External,
        given: |settings| settings.postgres_password.as_ref(),
        file: |settings| settings.database.password_file.as_ref(),
        way: "set database.password_file, or give POSTGRES_PASSWORD once, in the environment or an --env-file",
        ..GENERATED
    },
    Secret {
        name: "redis_password",
        generated: false,
        wanted: |deployment| deployment.workers && deployment.settings.redis.host.is_some(),
        file: |settings| settings.redis.password_file.as_ref(),
        // config/redis.py: a user name asks for a password.
        needed: |deployment| deployment.settings.redis.username.is_some(),
        way: "set redis.password_file, or leave redis.username empty",
        ..GENERATED
    },
];

/// A server that was taken over keeps its own.
fn not_adopted(deployment: &Conditions) -> bool {
    deployment.settings.adopt.config.is_empty()
}

impl Secret {
    /// Whether the environment or a file of the administrator's has it.
    pub fn is_given(&self, settings: &Settings) -> bool {
        (self.given)(settings).is_some() || (self.file)(settings).is_some()
    }
}

/// The secret of that name.
pub fn secret(name: &str) -> Option<&'static Secret> {
    SECRETS.iter().find(|secret| secret.name == name)
}

/// A file that is composed.
pub struct Composed {
    /// The file's name in the directory of secrets; the template has the same below `secrets/` in a generation.
    pub name: &'static str,
    /// The account that reads it; empty for Synapse's own. systemd hands it to others (`LoadCredential=`).
    pub reader: Reader,
    /// What the language of the file makes of a value.
    pub escape: fn(&str) -> String,
}

/// Who reads a composed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Synapse's processes, as members of its group.
    Synapse,
    /// libpq in Synapse's processes, which refuses what others than the owner may read.
    SynapseAlone,
    /// systemd, which gives the file to the one service that is to have it.
    Systemd,
}

/// Every composed file.
pub static COMPOSED: &[Composed] = &[
    Composed {
        name: "pgpass",
        reader: Reader::SynapseAlone,
        escape: in_pgpass,
    },
    Composed {
        name: "synapse.d/email.yaml",
        reader: Reader::Synapse,
        escape: in_json,
    },
    Composed {
        name: "synapse.d/manhole.yaml",
        reader: Reader::Synapse,
        escape: in_json,
    },
    Composed {
        name: "redis-exporter.json",
        reader: Reader::Systemd,
        escape: in_json,
    },
    Composed {
        name: "postgres-exporter.pgpass",
        reader: Reader::Systemd,
        escape: in_pgpass,
    },
    Composed {
        name: "turnserver.conf",
        reader: Reader::Systemd,
        escape: str::to_owned,
    },
];

/// The composed file of that name.
pub fn composed(name: &str) -> Option<&'static Composed> {
    COMPOSED.iter().find(|composed| composed.name == name)
}

/// The path of a composed file's template in a generation.
pub fn template(name: &str) -> String {
    format!("secrets/{name}")
}

/// The file with every `@name@` replaced by what `value` has for that secret.
///
/// # Errors
/// What `value` says when it has none.
pub fn compose<E>(
    composed: &Composed,
    template: &str,
    mut value: impl FnMut(&str) -> Result<String, E>,
) -> Result<String, E> {
    let mut text = template.to_owned();
    for secret in SECRETS {
        let mark = format!("@{}@", secret.name);
        if template.contains(&mark) {
            text = text.replace(&mark, &(composed.escape)(&value(secret.name)?));
        }
    }
    Ok(text)
}

/// The line of libpq's password file (PostgreSQL manual, 32.16).
pub fn pgpass_line(settings: &Settings) -> String {
    let database = &settings.database;
    let host = database.host.as_ref().map_or("*", |host| host.as_str());
    let fields = [
        host,
        &database.port.show(),
        database.name.as_str(),
        database.user.as_str(),
    ];
    let escaped = fields.map(in_pgpass);
    format!("{}:@postgres_password@", escaped.join(":"))
}

/// A field of libpq's password file (PostgreSQL manual, 32.16).
fn in_pgpass(value: &str) -> String {
    value.replace('\\', "\\\\").replace(':', "\\:")
}

/// The inside of a quoted JSON string, which is one in YAML as well.
fn in_json(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_arrive_as_they_are_in_each_language() {
        let value = |_: &str| Ok::<_, ()>(r#"a"b\c:d@form_secret@"#.to_owned());
        let yaml = composed("synapse.d/email.yaml").unwrap();
        let text = compose(yaml, "x: \"@smtp_password@\"", value).unwrap();
        assert_eq!(text, r#"x: "a\"b\\c:d@form_secret@""#);
        let pgpass = composed("pgpass").unwrap();
        let text = compose(pgpass, "h:1:d:u:@postgres_password@", value).unwrap();
        assert_eq!(text, r#"h:1:d:u:a"b\\c\:d@form_secret@"#);
        assert_eq!(
            compose(pgpass, "@form_secret@", |_| Err("none")),
            Err("none")
        );
    }
}
