//! The catalogue of composed files, and how a template becomes one.

use super::super::Deployment;
use super::catalogue::SECRETS;
use crate::settings::value::Scalar;

/// A row of the catalogue of composed files.
pub struct Composed {
    /// The name of the file in the secrets directory. The template has the same name below `secrets/` in a generation.
    pub name: &'static str,
    /// The reader, which determines ownership and permissions.
    pub reader: Reader,
    /// Escapes a value for the syntax of the file.
    pub escape: fn(&str) -> String,
}

/// The reader of a composed file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Synapse's processes, which read the file as members of Synapse's group.
    Synapse,
    /// libpq in Synapse's processes, which rejects a file that accounts other than its owner can read.
    SynapseAlone,
    /// systemd, which passes the file to a single service (`LoadCredential=`).
    Systemd,
}

/// The composed file with the users of this program's own Redis.
pub const REDIS_ACL: &str = "redis.acl";

/// All composed files.
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
        name: REDIS_ACL,
        reader: Reader::Systemd,
        escape: str::to_owned,
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
        name: "alertmanager.yml",
        reader: Reader::Systemd,
        escape: in_json,
    },
    Composed {
        name: "turnserver.conf",
        reader: Reader::Systemd,
        escape: str::to_owned,
    },
];

/// The composed file with this name.
pub fn composed(name: &str) -> Option<&'static Composed> {
    COMPOSED.iter().find(|composed| composed.name == name)
}

/// The path of a composed file's template, relative to the generation.
pub fn template(name: &str) -> String {
    format!("secrets/{name}")
}

/// Replaces every placeholder `@name@` in the template with the escaped value of that secret.
///
/// # Errors
/// Returns the error of `value` if it has no value for a secret.
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

/// The template of the line in libpq's password file (PostgreSQL manual, 32.16).
pub fn pgpass_line(deployment: &Deployment) -> String {
    let database = &deployment.settings.database;
    let host = database.host.as_ref().map_or("*", |host| host.as_str());
    let fields = [
        host,
        &database.port.show(),
        database.name.as_str(),
        database.user.as_str(),
    ];
    let escaped = fields.map(in_pgpass);
    format!("{}:@{}@", escaped.join(":"), deployment.database_password())
}

/// Escapes a field of libpq's password file (PostgreSQL manual, 32.16).
fn in_pgpass(value: &str) -> String {
    value.replace('\\', "\\\\").replace(':', "\\:")
}

/// Escapes text for the inside of a double-quoted JSON string, which is valid YAML too.
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
