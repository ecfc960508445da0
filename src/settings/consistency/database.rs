//! Rules for the database, and for services that read it.

use super::{Rule, violated};
use crate::settings::table::Settings;
use crate::settings::types::{DatabaseKind, Host, SslMode, is_loopback};
use crate::state::accounts;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let user = settings.database.user.as_str();
        let owner = accounts::reserved(user)?;
        // On another host, PostgreSQL has no privileges on this one.
        let privileged = match user {
            accounts::POSTGRES => database_is_here(settings),
            _ => true,
        };
        violated(privileged, "database.user", || {
            (
                format!(
                    "`database.user` is {user}, {owner}, and an attacker who takes over Synapse would get the \
                     privileges of this role"
                ),
                "create a role for Synapse, and make it the owner of Synapse's database".to_owned(),
            )
        })
    },
    |settings| {
        let least = settings.database.cp_min.get();
        let most = settings.database.cp_max.set()?.get();
        violated(least > most, "database.cp_min", || {
            (
                format!("`database.cp_min` is {least}, more than `database.cp_max`, {most}"),
                "lower `database.cp_min`, or raise `database.cp_max`".to_owned(),
            )
        })
    },
    |settings| {
        let kind = settings.database.kind;
        let host = settings.database.host.as_ref()?;
        let own = matches!(kind, DatabaseKind::Local | DatabaseKind::Sqlite);
        violated(own, "database.host", || {
            (
                format!("`database.host` is {host}, but `database.kind` is {kind}"),
                "remove one of the two".to_owned(),
            )
        })
    },
    |settings| {
        let host = settings.database.host.as_ref()?;
        violated(settings.database.open, "database.open", || {
            (
                format!(
                    "`database.open` is true, but `database.host` is {host}, so the PostgreSQL of this host is not used"
                ),
                "remove one of the two".to_owned(),
            )
        })
    },
    |settings| {
        let database = &settings.database;
        let missing = database.kind == DatabaseKind::External && database.host.is_none();
        violated(missing, "database.kind", || {
            (
                "`database.kind` is external, but `database.host` is not set".to_owned(),
                "set `database.host`, or remove `database.kind`".to_owned(),
            )
        })
    },
    |settings| {
        let database = &settings.database;
        let verifies = database.sslmode.is_some_and(SslMode::verifies);
        let (key, problem, help) = match &database.sslrootcert {
            None if verifies => (
                "database.sslmode",
                "`database.sslmode` verifies the certificate, but `database.sslrootcert` is not set",
                "set `database.sslrootcert` to the certificate of the authority; the authorities of this system are in \
                 /etc/ssl/certs/ca-certificates.crt (Debian) or /etc/pki/tls/cert.pem (Fedora)",
            ),
            // With a root certificate, libpq treats `require` as verify-ca (PostgreSQL manual, 32.19.3).
            Some(_) if !verifies && database.sslmode != Some(SslMode::Require) => (
                "database.sslrootcert",
                "`database.sslrootcert` is set, but `database.sslmode` does not verify the certificate",
                "set `database.sslmode` to verify-full, or remove `database.sslrootcert`",
            ),
            _ => return None,
        };
        Some((key, problem.to_owned(), help.to_owned()))
    },
    |settings| {
        let verifies = settings.database.sslmode.is_some_and(SslMode::verifies);
        violated(
            settings.compressor.enabled && verifies,
            "compressor.enabled",
            || {
                (
                "`compressor.enabled` is true, but the state compressor cannot verify certificates, which \
                 `database.sslmode` demands"
                    .to_owned(),
                "set `compressor.enabled` to false, or `database.sslmode` to require".to_owned(),
            )
            },
        )
    },
];

/// Whether Synapse uses a PostgreSQL, and that PostgreSQL runs on this host.
fn database_is_here(settings: &Settings) -> bool {
    let database = &settings.database;
    let loopback = |host: &Host| {
        let name = host.as_str();
        host.is_socket_directory() || is_loopback(name)
    };
    database.kind != DatabaseKind::Sqlite && database.host.as_ref().is_none_or(loopback)
}
