//! Backups: a timer and the service that it starts, a second pair for checks, and the alert for an old backup.

use super::sandbox::{Network, Sandbox};
use super::{Input, StateBuilder, filters, network};
use crate::settings::types::DatabaseKind;
use crate::state::paths;
use crate::state::units;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-backup.service")]
struct Service {
    sandbox: Sandbox,
    program: String,
}

#[derive(Template)]
#[template(path = "synapse-backup.timer")]
struct Timer<'a> {
    calendar: &'a str,
}

#[derive(Template)]
#[template(path = "synapse-backup-check.service")]
struct CheckService {
    sandbox: Sandbox,
    program: String,
}

#[derive(Template)]
#[template(path = "synapse-backup-check.timer")]
struct CheckTimer<'a> {
    calendar: &'a str,
}

pub(super) fn is_wanted(input: &Input) -> bool {
    input.settings.backup.is_on()
}

/// Adds the timer of backups and its service.
pub(super) fn render(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let service = Service {
        sandbox: builder.sandbox(units::BACKUP_SERVICE)?,
        program: program(input),
    };
    builder.unit(units::BACKUP_SERVICE, service.render()?);
    let calendar = input.settings.backup.calendar.as_str();
    builder.unit(units::BACKUP, Timer { calendar }.render()?);
    if input.settings.metrics.enabled {
        let seconds = input.settings.backup.max_age.seconds();
        let rules = include_str!("../../templates/prometheus/rules/backup.yml");
        let rules = rules.replace("@max_age@", &seconds.to_string());
        builder.add("prometheus/rules/backup.yml", rules.into_bytes(), &[]);
    }
    Ok(())
}

/// Adds the timer of checks and its service.
pub(super) fn render_check(builder: &mut StateBuilder) -> Result<()> {
    let input = builder.input;
    let service = CheckService {
        sandbox: builder.sandbox(units::BACKUP_CHECK_SERVICE)?,
        program: program(input),
    };
    builder.unit(units::BACKUP_CHECK_SERVICE, service.render()?);
    let calendar = input.settings.backup.check_calendar.as_str();
    builder.unit(units::BACKUP_CHECK, CheckTimer { calendar }.render()?);
    Ok(())
}

fn program(input: &Input) -> String {
    input.facts.program.to_string_lossy().into_owned()
}

/// The network access: none for a directory and a database of this host.
pub(super) fn network(input: &Input) -> Network {
    match directory(input).is_some() && network::database_is_local(input) {
        true => Network::None,
        false => Network::Host,
    }
}

/// The directories that the services write to. The `-` lets them start, and report the reason, when the repository does
/// not exist (systemd.exec(5), `ReadWritePaths=`). SQLite rolls back the journal of a process that has crashed.
pub(super) fn writes(input: &Input) -> Vec<String> {
    let sqlite = input.database() == DatabaseKind::Sqlite;
    let data = sqlite.then(|| input.adopted.writable().unwrap_or(paths::DATA.to_owned()));
    let repository = directory(input).map(|path| format!("-{path}"));
    let own = [paths::BACKUP.to_owned()].into_iter();
    own.chain(repository).chain(data).collect()
}

/// Whether the services read home directories: ssh has its keys in that of root, and the media store may be in one.
pub(super) fn sees_home(input: &Input) -> bool {
    let settings = &input.settings;
    let repository = settings.backup.repository.as_ref();
    let sftp = repository.is_some_and(|it| it.as_str().starts_with("sftp:"));
    let named = [&settings.media_store_path].into_iter();
    let mut named = named.chain(&settings.backup.environment_file);
    let below = |path: &str| paths::HOMES.iter().any(|home| path.starts_with(home));
    sftp || named.any(|path| below(path.as_str())) || directory(input).is_some_and(below)
}

fn directory<'a>(input: &'a Input) -> Option<&'a str> {
    input.settings.backup.repository.as_ref()?.directory()
}
