//! Settings from the environment and from a Docker env-file.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::Fragment;
use super::origin::{Origin, SettingsError};
use super::retired::{RETIRED, retired};
use super::row::Row;
use super::table::ROWS;
use super::value::Raw;

/// Names that start like this are meant for the ancestor of this program.
const PREFIXES: [&str; 5] = ["SYNAPSE_", "NGINX_", "COTURN_", "PROMETHEUS_", "POSTGRES_"];

/// Names that shells have for themselves: in an env-file they are meant, in the environment they are not.
const OF_SHELLS: [&str; 2] = ["UID", "GID"];

/// One `NAME=VALUE` of an env-file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    pub name: String,
    pub value: String,
    pub line: usize,
}

/// Reads a Docker env-file: `NAME=VALUE` lines, comments, blank lines, with or without quotes
/// around the value and `export` before the name. A name alone stands for the environment's own
/// value, which is read anyway.
pub fn read_env_file(path: &Path, text: &str) -> Result<Vec<Assignment>, SettingsError> {
    let mut assignments = Vec::new();
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line_number = index + 1;
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (line, None),
        };
        if !is_name(name) {
            let message = "expected NAME=VALUE, without spaces around the name";
            return Err(SettingsError::at_line(path, line_number, message));
        }
        if let Some(value) = value {
            assignments.push(Assignment {
                name: name.to_owned(),
                value: unquoted(value.trim()).to_owned(),
                line: line_number,
            });
        }
    }
    Ok(assignments)
}

fn is_name(text: &str) -> bool {
    let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(rest)
}

fn unquoted(value: &str) -> &str {
    let between = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    between('"').or_else(|| between('\'')).unwrap_or(value)
}

/// The values of an env-file, and notes on names that nothing reads. Of two lines with one
/// name the later counts, as in Docker. An empty value is as good as none.
pub(super) fn env_file_fragments(
    path: &Path,
    text: &str,
) -> Result<(Vec<Fragment>, Vec<String>), SettingsError> {
    let assignments = read_env_file(path, text)?;
    let known = |name: &str| ROWS.iter().any(|row| row.env.contains(&name));
    let notes = assignments
        .iter()
        .filter(|given| PREFIXES.iter().any(|prefix| given.name.starts_with(prefix)))
        .filter(|given| !known(&given.name))
        .map(|given| {
            let (name, line) = (&given.name, given.line);
            let note = retired(name).unwrap_or_else(|| format!("{name} is not known, ignored"));
            format!("{} line {line}: {note}", path.display())
        })
        .collect();
    let last = |name: &str| assignments.iter().rfind(|given| given.name == name);
    let fragments = of_environment(|row, name| {
        let given = last(name)?;
        let (path, line) = (path.to_owned(), given.line);
        let origin = Origin::EnvFile { path, line, name };
        Some(Fragment::new(row, &given.value, origin))
    });
    Ok((fragments, notes))
}

/// The values of the process environment, and notes; only names of the tables are looked at.
pub(super) fn environment_fragments(
    environment: &BTreeMap<String, String>,
) -> (Vec<Fragment>, Vec<String>) {
    let fragments = of_environment(|row, name| {
        let value = environment
            .get(name)
            .filter(|_| !OF_SHELLS.contains(&name))?;
        Some(Fragment::new(row, value, Origin::Environment { name }))
    });
    let set = |name: &&str| {
        environment
            .get(*name)
            .is_some_and(|value| !value.is_empty())
    };
    let names = RETIRED.iter().map(|(name, _)| *name).filter(set);
    (fragments, names.filter_map(retired).collect())
}

/// For every row the first of its names with a value.
fn of_environment(find: impl Fn(&'static Row, &'static str) -> Option<Fragment>) -> Vec<Fragment> {
    let is_set = |fragment: &Fragment| !matches!(&fragment.raw, Raw::Text(text) if text.is_empty());
    ROWS.iter()
        .filter_map(|row| {
            row.env
                .iter()
                .filter_map(|name| find(row, name))
                .find(is_set)
        })
        .collect()
}
