//! The overlay: merges the fragments of all sources into typed settings.

use std::collections::BTreeMap;
use std::path::Path;

use super::consistency;
use super::env::{env_file_fragments, environment_fragments};
use super::file::read;
use super::fragment::{Fragment, Values};
use super::origin::{Origin, SettingsError};
use super::row::Row;
use super::table::{ROWS, Settings};
use super::types::OtherHost;

/// All sources of settings, already read.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The settings file: its path, for messages, and its text.
    pub file: Option<(&'a Path, &'a str)>,
    /// The env-file (`--env-file`): its path, for messages, and its text.
    pub env_file: Option<(&'a Path, &'a str)>,
    /// The variables of the environment, including those that are no settings.
    pub environment: &'a BTreeMap<String, String>,
    /// The flag as typed, such as `--workers`, the key and the value. Of two with the same key the later counts.
    pub flags: &'a [(&'static str, &'static str, String)],
}

/// The settings and their origins.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values with the highest precedence, validated.
    pub settings: Settings,
    /// The origin of every key.
    pub origins: BTreeMap<&'static str, Origin>,
    /// Keys, with their values in YAML, that a flag, the environment or the env-file provided and that the file lacks
    /// or sets to another value.
    pub to_write: Vec<(&'static str, String)>,
    /// Notes for the user, one line each.
    pub notes: Vec<String>,
    /// The hosts that were taken out of `hosts` by [`Loaded::leave_out`].
    pub left_out: Vec<OtherHost>,
}

impl Loaded {
    /// Takes hosts, given by their names, out of `hosts`, as if the settings did not name them. The rules of the settings hold
    /// for the rest.
    ///
    /// # Errors
    /// When no host has one of the names, or when the rest violates a rule.
    pub fn leave_out(&mut self, names: &[String]) -> Result<(), SettingsError> {
        let taken = self.settings.hosts.take(names).map_err(|unknown| {
            let known = match unknown.known.is_empty() {
                true => "`hosts` in the settings file is empty".to_owned(),
                false => format!("the hosts in `hosts` are {}", unknown.known.join(", ")),
            };
            let problem = format!("there is no host {:?}", unknown.name);
            SettingsError::at("--without", problem).help(known)
        })?;
        self.left_out.extend(taken);
        consistency::check(&self.settings, &self.origins)
    }
}

/// Reads all sources, gives each key the value with the highest precedence, and validates every value, including those
/// that another overrides.
///
/// # Errors
/// Names the origin of the first value that is not allowed, or the required setting that no source contains.
pub fn load(sources: &Sources) -> Result<Loaded, SettingsError> {
    let mut notes = Vec::new();
    let file = match sources.file {
        Some((path, text)) => file_fragments(path, text)?,
        None => Vec::new(),
    };
    let env_file = match sources.env_file {
        Some((path, text)) => {
            let (fragments, ignored) = env_file_fragments(path, text)?;
            notes.extend(ignored);
            fragments
        }
        None => Vec::new(),
    };
    let (environment, retired) = environment_fragments(sources.environment);
    notes.extend(retired);
    let flags = flag_fragments(sources.flags)?;

    let mut fragments = overlay(default_fragments())?;
    let in_file = overlay(file)?;
    let given = overlay([env_file, environment, flags].concat())?;
    fragments.extend(in_file.clone());
    fragments.extend(given.clone());

    let file = match sources.file {
        Some((path, _)) => path.display().to_string(),
        None => "the settings file".to_owned(),
    };
    let values = Values { fragments, file };
    let settings = Settings::assemble(&values)?;
    let origins = origins(values.fragments);
    consistency::check(&settings, &origins)?;
    notes.extend(capitals(&settings));
    Ok(Loaded {
        settings,
        origins,
        to_write: to_write(&given, &in_file)?,
        notes,
        left_out: Vec::new(),
    })
}

fn default_fragments() -> Vec<Fragment> {
    let of_row = |row: &'static Row| Some(Fragment::new(row, row.default?, Origin::Default));
    ROWS.iter().filter_map(of_row).collect()
}

fn file_fragments(path: &Path, text: &str) -> Result<Vec<Fragment>, SettingsError> {
    let entries = read(path, text)?.entries.into_iter();
    let written = entries.filter_map(|entry| {
        let (path, line) = (path.to_owned(), entry.line);
        Some(Fragment {
            row: entry.row,
            raw: entry.raw?,
            origin: Origin::File { path, line },
            items: entry.items,
        })
    });
    Ok(written.collect())
}

fn flag_fragments(
    flags: &[(&'static str, &'static str, String)],
) -> Result<Vec<Fragment>, SettingsError> {
    let fragment = |(name, key, value): &(&'static str, &'static str, String)| {
        let unknown = || SettingsError::at(name, format!("unknown setting `{key}`"));
        let row = Row::of(key).ok_or_else(unknown)?;
        Ok(Fragment::new(row, value, Origin::Flag { name }))
    };
    flags.iter().map(fragment).collect()
}

/// The last fragment of each key; all fragments are validated.
fn overlay(fragments: Vec<Fragment>) -> Result<BTreeMap<&'static str, Fragment>, SettingsError> {
    for fragment in &fragments {
        fragment.normal()?;
    }
    let keyed = fragments
        .into_iter()
        .map(|fragment| (fragment.row.key, fragment));
    Ok(keyed.collect())
}

fn origins(fragments: BTreeMap<&'static str, Fragment>) -> BTreeMap<&'static str, Origin> {
    let mut origins: BTreeMap<_, _> = ROWS.iter().map(|row| (row.key, Origin::Default)).collect();
    let written = fragments
        .into_iter()
        .map(|(key, fragment)| (key, fragment.origin));
    origins.extend(written);
    origins
}

/// The provided values that differ from the file, in the order of the table.
fn to_write(
    given: &BTreeMap<&'static str, Fragment>,
    in_file: &BTreeMap<&'static str, Fragment>,
) -> Result<Vec<(&'static str, String)>, SettingsError> {
    let mut changes = Vec::new();
    for row in ROWS.iter().filter(|row| !row.secret) {
        let Some(fragment) = given.get(row.key) else {
            continue;
        };
        let value = fragment.normal()?;
        let known = in_file.get(row.key).map(Fragment::normal).transpose()?;
        if known.as_ref() != Some(&value) {
            changes.push((row.key, row.yaml(value.as_ref())));
        }
    }
    Ok(changes)
}

/// A note on capitals in the server name: Matrix compares names with case, and the name cannot be changed later.
fn capitals(settings: &Settings) -> Option<String> {
    let name = settings.server_name.as_str();
    let has_capitals = name.contains(|letter: char| letter.is_ascii_uppercase());
    has_capitals.then(|| {
        let lower = name.to_lowercase();
        format!(
            "the server name {name} contains capital letters, so for other homeservers it differs from {lower}"
        )
    })
}
