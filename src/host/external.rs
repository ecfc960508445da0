//! External PostgreSQL and Redis. They are queried before anything is changed, with the password that Synapse will use.

use super::facts::{Facts, Source};
use super::postgres::{self, Access, Postgres};
use super::redis::{self, Remote};
use super::{files, secrets};
use crate::deployment::Deployment;
use crate::deployment::secrets as known;
use crate::settings::Settings;
use crate::settings::types::DatabaseKind;
use crate::state::paths;
use anyhow::{Context, Result};
use std::time::Instant;

/// The properties of an external PostgreSQL; `None` if there is none, if Synapse's user is needed and missing, or if the first
/// host has yet to open it.
pub(super) fn postgres(facts: &Facts, deployment: &Deployment) -> Option<Result<Postgres, String>> {
    if deployment.database() != DatabaseKind::External || deployment.opens_database() {
        return None;
    }
    let mut access = Access::of_synapse(&deployment.settings, deployment.database())?;
    let answer = match password(facts, "postgres_password") {
        Err(error) => Err(error),
        Ok(Some(password)) => {
            access.user = None;
            with_password(access, deployment, &password)
        }
        // On a socket without a password, Synapse's system user is the identity, and it may not exist yet.
        Ok(None) if access.host.starts_with('/') && facts.accounts.uid.is_none() => return None,
        Ok(None) => postgres::ask(&access),
    };
    Some(answer.map_err(|error| format!("{error:#}")))
}

fn with_password(access: Access, deployment: &Deployment, password: &str) -> Result<Postgres> {
    let composed = known::composed("pgpass").context("no row for pgpass")?;
    let template = known::pgpass_line(deployment);
    let line = known::compose(composed, &template, |_| anyhow::Ok(password.to_owned()))?;
    let scratch = files::Scratch::new(0o700)?;
    let file = scratch.at("pgpass");
    files::replace(&file, format!("{line}\n").as_bytes(), 0o600)?;
    postgres::ask(&Access {
        passfile: Some(file),
        ..access
    })
}

/// Queries an external Redis; `None` if there is none.
pub(super) fn redis(facts: &Facts, deployment: &Deployment) -> Option<Result<(), String>> {
    let remote = Remote::of(&deployment.settings).filter(|_| deployment.has_workers())?;
    let end = Instant::now() + redis::REDIS_TIMEOUT;
    let answer = password(facts, "redis_password")
        .and_then(|password| remote.ask(password.as_deref(), &["PING"], end));
    Some(answer.map(drop).map_err(|error| format!("{error:#}")))
}

/// Why the Matrix Authentication Service does not answer; `None` if it does, or if there is none.
pub(super) fn mas(settings: &Settings) -> Option<String> {
    let url = settings.mas.endpoint.as_ref()?;
    let answer = super::mas::discovery(url, Instant::now() + super::mas::MAS_TIMEOUT);
    answer.err().map(|error| format!("{error:#}"))
}

/// The provided password, or else the stored one.
fn password(facts: &Facts, name: &str) -> Result<Option<String>> {
    match facts.provided.get(name) {
        Some(source) => secrets::value_of(source).map(Some),
        None => files::read_text(paths::secret(name)),
    }
}

/// The administrator's files that contain no valid secret: the name of the secret, and the reason.
pub(super) fn unusable(facts: &Facts) -> Vec<(&'static str, String)> {
    let why = facts.provided.iter().filter_map(|(name, source)| {
        let problem = match secrets::value_of(source) {
            Err(error) => format!("{error:#}"),
            Ok(value) => {
                let expected = known::secret(name).and_then(|row| (row.accepts)(&value).err())?;
                match source {
                    Source::File(path) => format!("{} must contain {expected}", path.display()),
                    Source::Value(_) => {
                        format!("the {} must be {expected}", name.replace('_', " "))
                    }
                }
            }
        };
        Some((*name, problem))
    });
    why.collect()
}
