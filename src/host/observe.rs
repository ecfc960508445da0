//! Observing the host: which parts of the desired state exist, and which parts exist that are not desired.

use super::{Host, Systemd, acme, files, generations, synapse};
use crate::deployment::secrets::{COMPOSED, SECRETS};
use crate::failure::Failure;
use crate::parallel;
use crate::state::Records;
use crate::state::paths;
use crate::state::restart_rules::host_path;
use crate::state::units;
use crate::state::{HOST, Observed, Resource, State, UnitState, digest};
use anyhow::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The state of units, by name.
type Units = BTreeMap<String, UnitState>;
/// Units by the file that is newer than their processes.
type Outdated = BTreeMap<String, BTreeSet<String>>;

impl Host {
    /// Observes everything that concerns the desired state and the recorded generations. Changes nothing.
    ///
    /// # Errors
    /// When a newer release wrote a generation in use, when a record of this program is damaged, or when systemd does
    /// not answer.
    pub fn observe(&self, desired: &State) -> Result<Observed> {
        let python = self.facts.synapse.as_ref().map(|found| &found.python);
        let python = python.map(PathBuf::as_path);
        let (units, observed) = parallel::both(
            || units(&self.systemd, python),
            || self.observe_files(desired),
        );
        let mut observed = observed?;
        (observed.units, observed.outdated) = units?;
        let cluster = self.facts.cluster.iter();
        let unread = cluster.filter(|cluster| cluster.admission.unread);
        for place in unread.filter_map(|cluster| cluster.debian.as_ref()) {
            let path = format!("{HOST}{}", place.rules());
            observed.outdated.insert(path, [place.unit()].into());
        }
        for unit in enabled() {
            observed.units.entry(unit).or_default().enabled = true;
        }
        Ok(observed)
    }

    /// The part of the observed state that systemd is not asked for: records, files and resources.
    fn observe_files(&self, desired: &State) -> Result<Observed> {
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
        observed.lacks_certificate = acme::is_due(desired)?;
        observed.damaged = self.damaged(&observed, desired);
        observed.sockets = sockets()
            .iter()
            .filter_map(|path| paths::process_of(path))
            .map(str::to_owned)
            .collect();
        Ok(observed)
    }

    /// Writes the record of created resources. It is removed together with its directory.
    pub fn record_created(&self, created: &BTreeSet<Resource>) -> Result<()> {
        if !files::is_directory(paths::ETC) {
            return Ok(());
        }
        if created.is_empty() {
            return files::remove(paths::CREATED);
        }
        let text = serde_json::to_string_pretty(created)?;
        files::replace(paths::CREATED, format!("{text}\n").as_bytes(), 0o644)
    }
}

/// The units of this program that systemd knows, and those that run with older files; see [`outdated`].
fn units(systemd: &Systemd, python: Option<&Path>) -> Result<(Units, Outdated)> {
    let mut units = systemd.units()?;
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    let stale = systemd.are_stale(&names)?;
    for (state, stale) in units.values_mut().zip(stale) {
        state.stale = stale;
    }
    let outdated = outdated(systemd, &units, python)?;
    Ok((units, outdated))
}

/// The records of earlier runs. Adds a note if one is damaged.
fn records(notes: &mut Vec<String>) -> Result<Records> {
    let switched = match generations::switched() {
        Err(error) if error.is::<generations::Damaged>() => {
            notes.push(generations::Damaged.to_string());
            None
        }
        switched => Some(switched?),
    };
    Ok(Records {
        current: generations::generation_of(paths::CURRENT),
        applied: generations::generation_of(paths::APPLIED),
        switched,
        written: generations::numbers(),
        created: created()?,
    })
}

/// Files outside of generations that changed after units started, each with these units. The restart rules decide which
/// of them read the file at their start. `python` is the Python that contains Synapse.
///
/// # Errors
/// When systemd does not answer.
pub fn outdated(systemd: &Systemd, units: &Units, python: Option<&Path>) -> Result<Outdated> {
    let files = external_files(python);
    let active = units.iter().filter(|(_, state)| state.active);
    let services: Vec<&str> = active
        .map(|(unit, _)| unit.as_str())
        .filter(|unit| unit.ends_with(".service"))
        .collect();
    let mut outdated = Outdated::new();
    for (unit, started) in services.iter().zip(systemd.started_at(&services)?) {
        for (path, _) in files.iter().filter(|file| file.1 > started) {
            let units = outdated.entry(path.clone()).or_default();
            units.insert((*unit).to_owned());
        }
    }
    Ok(outdated)
}

/// Files outside of generations that processes read at their start, each with its modification time in microseconds
/// since 1970. Synapse's code is represented by the file that packages touch when they change it.
fn external_files(python: Option<&Path>) -> Vec<(String, u64)> {
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
    // pyvenv.cfg is written once, when the venv is built.
    let venv = python.filter(|python| paths::is_our_python(python));
    let venv = venv
        .and_then(|python| python.parent()?.parent()?.to_str())
        .map(str::to_owned);
    paths
        .filter_map(|path| Some((changed(&path)?, path)))
        .chain(code.map(|changed| (changed, paths::UPGRADED.to_owned())))
        .chain(venv.and_then(|venv| Some((changed(&format!("{venv}/pyvenv.cfg"))?, venv))))
        // A time in the future means that the clock was set back: all processes would count as stale until then.
        .filter(|(changed, _)| *changed <= now)
        .map(|(changed, path)| (path, changed))
        .collect()
}

/// The resources that this program created on this host, according to the record.
pub(super) fn created() -> Result<BTreeSet<Resource>> {
    let Some(text) = files::read(paths::CREATED)? else {
        return Ok(BTreeSet::new());
    };
    serde_json::from_slice(&text).map_err(|error| {
        let record = paths::CREATED;
        Failure::preflight(format!("{record} is damaged: {error}"))
            .help(format!(
                "restore it from a backup, or `mv {record} {record}.damaged`, then synapse-workers install: uninstall --purge \
                 will then not remove the accounts, the database and the directories that exist already"
            ))
            .into()
    })
}

/// Whether the homeserver.d options differ from those that a state was rendered from.
pub fn homeserver_d_differs(state: &State) -> Result<bool> {
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

/// All socket files and Twisted's lock files beside them, below the directory for sockets.
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

/// The enabled units of this program: those that the target wants, and the target itself.
pub fn enabled() -> Vec<String> {
    let mut units = files::names(format!("{}/{}.wants", paths::UNITS, units::TARGET));
    let target = format!("{}/multi-user.target.wants/{}", paths::UNITS, units::TARGET);
    if files::is_link(&target) {
        units.push(units::TARGET.to_owned());
    }
    units
}
