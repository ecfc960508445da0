//! Settings from the environment and from a Docker env-file.

use std::collections::BTreeMap;
use std::path::Path;

use super::fragment::Fragment;
use super::origin::{Origin, SettingsError};
use super::retired::{RETIRED, retired};
use super::row::Row;
use super::table::ROWS;
use super::unknown;
use super::value::Raw;

/// Names that shells set themselves, so they count as settings in an env-file only.
const OF_SHELLS: [&str; 2] = ["UID", "GID"];

/// One `NAME=VALUE` of an env-file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The name before the `=`, without `export`; it need not be one that this program knows.
    pub name: String,
    /// The value, without quotes and comment.
    pub value: String,
    /// The line of the file, from 1.
    pub line: usize,
}

/// Reads a Docker env-file: `NAME=VALUE` lines, comments and blank lines. Blanks around the `=`, quotes around the
/// value, a comment after it and `export` before the name are accepted, as in Compose. `docker run` treats quotes and
/// comments as part of the value, which is valid for no setting. A name alone stands for its value in the environment,
/// which is read in any case.
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
            Some((name, value)) => (name.trim_end(), Some(value)),
            None => (line, None),
        };
        if !is_name(name) {
            let message = "expected NAME=VALUE";
            return Err(SettingsError::at_line(path, line_number, message));
        }
        if let Some(value) = value {
            assignments.push(Assignment {
                name: name.to_owned(),
                value: value_of(value.trim()),
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

/// The value between quotes, or before a comment. A `#` or a quote in the middle of a word is part of the value.
fn value_of(text: &str) -> String {
    let quoted = |quote: char| {
        let mut value = String::new();
        let mut rest = text.strip_prefix(quote)?.chars();
        loop {
            match rest.next()? {
                end if end == quote => break,
                // Backslashes escape only in double quotes, and only characters that would otherwise end or change the
                // value.
                '\\' if quote == '"' => match rest.next()? {
                    escaped @ ('"' | '\\' | '$') => value.push(escaped),
                    other => value.extend(['\\', other]),
                },
                other => value.push(other),
            }
        }
        let rest = rest.as_str().trim_start();
        (rest.is_empty() || rest.starts_with('#')).then_some(value)
    };
    // A quote inside a quoted value, which Compose refuses, is taken literally.
    let around = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner.to_owned())
    };
    let either = |read: &dyn Fn(char) -> Option<String>| read('"').or_else(|| read('\''));
    if let Some(value) = either(&quoted).or_else(|| either(&around)) {
        return value;
    }
    let comment = [" #", "\t#"]
        .iter()
        .filter_map(|mark| text.find(mark))
        .min();
    let value = comment.map_or(text, |end| &text[..end]);
    match value.starts_with('#') {
        true => String::new(),
        false => value.trim_end().to_owned(),
    }
}

/// The values of an env-file, and notes on unknown names. Of two lines with the same name the later counts, as in
/// Docker. An empty value counts as unset.
pub(super) fn env_file_fragments(
    path: &Path,
    text: &str,
) -> Result<(Vec<Fragment>, Vec<String>), SettingsError> {
    let assignments = read_env_file(path, text)?;
    let known = |name: &str| ROWS.iter().any(|row| row.env.contains(&name));
    let notes = assignments
        .iter()
        .filter(|given| unknown::is_of_image(&given.name))
        .filter(|given| !known(&given.name))
        .map(|given| {
            let (name, line) = (&given.name, given.line);
            let note = retired(name).unwrap_or_else(|| unknown::note(name));
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

/// The values of the process environment, and notes; only names in the tables are read.
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
    let mut notes: Vec<String> = names.filter_map(retired).collect();
    let known = |name: &str| ROWS.iter().any(|row| row.env.contains(&name));
    let meant = environment.keys().map(String::as_str).filter(|name| {
        !known(name) && retired(name).is_none() && set(name) && unknown::is_meant_here(name)
    });
    notes.extend(meant.map(unknown::note));
    (fragments, notes)
}

/// Finds, for every row, the first of its names that has a value.
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
