//! Observing: what of the desired state is there already, and what is there that is not desired.

use super::{Host, Systemd, files, generations, synapse};
use crate::failure::Failure;
use crate::paths;
use crate::plan::Records;
use crate::plan::names;
use crate::plan::rules::host_path;
use crate::plan::state::{Observed, Resource, State, UnitState, digest};
use crate::secrets::{COMPOSED, SECRETS};
use crate::settings::types::DatabaseKind;
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

impl Host {
    /// Observes all that concerns this state and the one before it. Changes nothing.
    pub fn observe(&self, desired: &State) -> Result<Observed> {
        let mut notes = Vec::new();
        let records = records(&mut notes)?;
        let mut states = BTreeMap::new();
        for number in records.generations() {
            states.insert(number, generations::on_disk(number, &mut notes)?);
        }
        let mut observed = Observed {
            notes,
            processors: std::thread::available_parallelism().map_or(1, |number| number.get()),
            ..Observed::recorded(records, states)
        };
        for path in observed.places(desired) {
            let Some(place) = host_path(&path) else {
                continue;
            };
            if let Some(contents) = files::read(place)? {
                observed.host_files.insert(path, digest(&contents));
            }
        }
        let candidates = observed.candidates(desired);
        observed.resources = self
            .existing(candidates.iter(), desired)?
            .into_iter()
            .collect();
        observed.units = self.systemd.units()?;
        for (unit, state) in &mut observed.units {
            state.stale = self.systemd.is_stale(unit)?;
        }
        for unit in enabled() {
            observed.units.entry(unit).or_default().enabled = true;
        }
        let python = self.facts.synapse.as_ref().map(|found| &found.python);
        observed.outdated = outdated(&self.systemd, &observed.units, python.map(PathBuf::as_path))?;
        observed.sockets = sockets()
            .iter()
            .filter_map(|path| paths::process_of(path))
            .map(str::to_owned)
            .collect();
        Ok(observed)
    }

    /// Keeps the record; it goes with the directory that it is in.
    pub fn record_made(&self, made: &BTreeSet<Resource>) -> Result<()> {
        if !files::is_directory(paths::ETC) {
            return Ok(());
        }
        if made.is_empty() {
            return files::remove(paths::MADE);
        }
        let text = serde_json::to_string_pretty(made)?;
        files::replace(paths::MADE, format!("{text}\n").as_bytes(), 0o644)
    }
}

/// What earlier runs have recorded; a note on what of it is damaged.
fn records(notes: &mut Vec<String>) -> Result<Records> {
    let switched = match generations::switched() {
        Err(error) if error.is::<generations::Damaged>() => {
            notes.push(generations::Damaged.to_string());
            None
        }
        switched => Some(switched?),
    };
    Ok(Records {
        current: generations::pointed(paths::CURRENT),
        applied: generations::pointed(paths::APPLIED),
        switched,
        written: generations::numbers(),
        made: made()?,
    })
}

/// Files outside of generations that changed since units began, with these units. Which of them read the file at
/// their start is for the rules to say. `python` is the one that has Synapse.
pub fn outdated(
    systemd: &Systemd,
    units: &BTreeMap<String, UnitState>,
    python: Option<&Path>,
) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let files = outside(python);
    let mut outdated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (unit, state) in units {
        if !state.active || !unit.ends_with(".service") {
            continue;
        }
        let begun = systemd.begun(unit)?;
        for (path, _) in files.iter().filter(|file| file.1 > begun) {
            outdated
                .entry(path.clone())
                .or_default()
                .insert(unit.clone());
        }
    }
    Ok(outdated)
}

/// Files outside of generations that processes read at their start, with when each changed, in microseconds since 1970.
/// Synapse's code stands under the name of the file that packages touch when they change it.
fn outside(python: Option<&Path>) -> Vec<(String, u64)> {
    let secrets = SECRETS.iter().map(|secret| secret.name);
    let composed = COMPOSED.iter().map(|composed| composed.name);
    let paths = secrets.chain(composed).map(paths::secret);
    let changed = |path: &str| {
        let modified = files::metadata(path)?.modified();
        let since = modified.ok()?.duration_since(UNIX_EPOCH);
        u64::try_from(since.ok()?.as_micros()).ok()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    });
    let code = changed(paths::UPGRADED).max(python.and_then(synapse::installed_at));
    paths
        .filter_map(|path| Some((changed(&path)?, path)))
        .chain(code.map(|changed| (changed, paths::UPGRADED.to_owned())))
        // The clock was turned back since: every process would be older than that for as long.
        .filter(|(changed, _)| *changed <= now)
        .map(|(changed, path)| (path, changed))
        .collect()
}

/// What this program made on this host, as far as the record goes.
fn made() -> Result<BTreeSet<Resource>> {
    let Some(text) = files::read(paths::MADE)? else {
        return Ok(BTreeSet::new());
    };
    serde_json::from_slice(&text).map_err(|error| {
        let (made, problem) = (paths::MADE, format!("{} is damaged: {error}", paths::MADE));
        Failure::preflight(problem)
            .help(format!(
                "restore it from a backup, or `mv {made} {made}.damaged`, then synapse-workers install: an uninstall --purge \
                 will then leave the accounts, the database and the directories that were made before"
            ))
            .into()
    })
}

/// Whether a database on this host is one that this program made.
pub fn made_database() -> Result<bool> {
    let database = |made: &Resource| matches!(made, Resource::Database { .. });
    Ok(made()?.iter().any(database))
}

/// Whether the administrator's own Synapse options are others than those that a state was made from.
pub fn own_options_differ(state: &State) -> Result<bool> {
    let prefix = "synapse/homeserver.d/";
    let mut then = state
        .files
        .iter()
        .filter_map(|(path, file)| Some((path.strip_prefix(prefix)?, file)));
    let names = files::names(paths::HOMESERVER_D);
    let now = names.iter().filter(|name| name.ends_with(".yaml")).count();
    if then.clone().count() != now {
        return Ok(true);
    }
    then.try_fold(false, |differ, (name, file)| {
        let contents = files::read(format!("{}/{name}", paths::HOMESERVER_D))?;
        Ok(differ || contents.as_deref() != Some(&file.contents[..]))
    })
}

/// Whether a move to PostgreSQL has not come to its end: root's mark goes when every row is known to have arrived.
///
/// # Errors
/// When the configuration in use cannot be read.
pub fn move_was_cut() -> Result<bool> {
    Ok(super::migrate::is_unfinished() || earlier_release_was_cut()?)
}

/// Whether a release that had no such mark was cut while it moved the data. It had a directory in Synapse's data, which the
/// account of Synapse can make at any time. So that is looked for only where root's own records say that a change from SQLite to
/// PostgreSQL was not applied to its end, and nothing in it is read.
fn earlier_release_was_cut() -> Result<bool> {
    let changed = uses_postgres(paths::APPLIED)? == Some(false)
        && uses_postgres(paths::CURRENT)? == Some(true);
    Ok(changed && files::exists(paths::OLD_MIGRATION))
}

/// Whether the generation that a link names has its data in PostgreSQL.
fn uses_postgres(link: &str) -> Result<Option<bool>> {
    let options = files::read_text(format!("{link}/synapse/homeserver.yaml"))?;
    Ok(options.map(|text| text.lines().any(|line| line.trim() == "name: psycopg2")))
}

/// The database that this server's data is in already, if that is known: the SQLite file, ours or `adopted`, that the
/// running generation uses or that a move to PostgreSQL has not left to its end; else a database that we made; else,
/// where nothing runs, an SQLite file that is there. The file stays after a migration.
pub fn settled_database(adopted: bool) -> Result<Option<DatabaseKind>> {
    let file = adopted || files::exists(paths::SQLITE);
    let postgres = uses_postgres(paths::CURRENT)?;
    if file && (postgres == Some(false) || move_was_cut()?) {
        return Ok(Some(DatabaseKind::Sqlite));
    }
    Ok(match (made_database()?, file && postgres.is_none()) {
        (true, _) => Some(DatabaseKind::Local),
        (false, true) => Some(DatabaseKind::Sqlite),
        (false, false) => None,
    })
}

/// Every socket file, and what Twisted keeps beside some, below the directory that has them all.
pub fn sockets() -> Vec<String> {
    let directories = std::iter::once(paths::RUN.to_owned()).chain(
        files::names(paths::RUN)
            .into_iter()
            .map(|name| format!("{}/{name}", paths::RUN)),
    );
    let is_socket = |path: &String| files::is_socket(path) || path.ends_with(".sock.lock");
    directories
        .flat_map(|directory| {
            let names = files::names(&directory).into_iter();
            names.map(move |name| format!("{directory}/{name}"))
        })
        .filter(is_socket)
        .collect()
}

/// Our units that are enabled: those that the target wants, and the target itself.
pub fn enabled() -> Vec<String> {
    let mut units = files::names(format!("{}/{}.wants", paths::UNITS, names::TARGET));
    let target = format!("{}/multi-user.target.wants/{}", paths::UNITS, names::TARGET);
    if files::is_link(&target) {
        units.push(names::TARGET.to_owned());
    }
    units
}
