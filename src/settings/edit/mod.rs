//! Changes single keys in a settings file; every other byte stays the same.
//!
//! Each way of making a change is a guess about the text. A check makes it safe: the new text is read, and must have
//! exactly the meaning of the old text with that change. Otherwise the next guess is tried, and after the last one the
//! change is refused.
//!
//! `yamlpatch` was tried in place of this module, with the inputs of tests/settings/edits.rs. Version 1.32 needs Rust
//! 1.97. Version 1.25, with 22 more crates and tree-sitter in C, gave 3 of the 18 expected texts: a value replaced by a
//! list or a section becomes invalid YAML, an empty file is refused, other keys of a flow mapping are lost, and `\n` is
//! written into a file with `\r\n`. 100,000 nested list items end the process in an assertion.

mod add;
mod place;
mod replace;
mod tree;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use super::file::{Document, Entry, Place, read};
use super::origin::{Origin, SettingsError};
use super::row::Row;
use super::value::Raw;
use place::{after_colon, offset, skip_blank};

/// A replacement of a range of the text.
type Splice = (Range<usize>, String);

/// Sets keys in the text of the settings file at `path`. Each value is one line of YAML; an empty value unsets the key.
///
/// # Errors
/// When the file is not valid, when a value is not allowed, or when no edit leaves the meaning of the rest unchanged.
pub fn edit_file(
    path: &Path,
    text: &str,
    changes: &[(&str, String)],
) -> Result<String, SettingsError> {
    changes
        .iter()
        .try_fold(text.to_owned(), |text, (key, yaml)| {
            Edit::new(path, &text, key, yaml)?.apply()
        })
}

/// A change of one key.
struct Edit<'t> {
    path: &'t Path,
    text: &'t str,
    before: Document,
    row: &'static Row,
    yaml: &'t str,
    wanted: Option<Raw>,
    newline: &'static str,
}

impl<'t> Edit<'t> {
    fn new(path: &'t Path, text: &'t str, key: &str, yaml: &'t str) -> Result<Self, SettingsError> {
        let unknown = || SettingsError::new(format!("unknown setting `{key}`"));
        let row = Row::of(key).filter(|row| !row.secret).ok_or_else(unknown)?;
        Ok(Self {
            path,
            text,
            before: read(path, text)?,
            row,
            yaml,
            wanted: wanted(row, yaml)?,
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }

    fn apply(&self) -> Result<String, SettingsError> {
        let guesses = match self.before.entry(self.row) {
            None if self.wanted.is_none() => return Ok(self.text.to_owned()),
            None => self.additions(),
            Some(entry) => self
                .within(entry)
                .into_iter()
                .chain(self.replacement(entry))
                .collect(),
        };
        let mut results = guesses.into_iter().filter_map(|guess| self.spliced(guess));
        let change = results.find(|text| self.is_change(text));
        change.ok_or_else(|| self.refusal())
    }

    fn refusal(&self) -> SettingsError {
        let own = self.before.entry(self.row).map(|entry| entry.key);
        let place = own.or_else(|| self.section(self.row.path().0?));
        let line = place.map_or(self.text.lines().count(), |place| place.line);
        let (key, yaml) = (self.row.key, self.yaml);
        let problem =
            format!("`{key}` cannot be changed here without a risk to the other settings");
        SettingsError::at_line(self.path, line, problem)
            .help(format!("set it to {yaml} with an editor"))
    }

    /// Whether `text` has the meaning of the old settings with the wanted change.
    fn is_change(&self, text: &str) -> bool {
        let Ok(after) = read(self.path, text) else {
            return false;
        };
        let mut expected = meaning(&self.before);
        expected.remove(self.row.key);
        let wanted = self.wanted.clone();
        expected.extend(wanted.map(|wanted| (self.row.key, wanted)));
        meaning(&after) == expected
    }

    /// The text after all splices, which must not overlap.
    fn spliced(&self, mut splices: Vec<Splice>) -> Option<String> {
        let mut text = self.text.to_owned();
        splices.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
        for (range, replacement) in splices {
            text.get(range.clone())?;
            text.replace_range(range, &replacement);
        }
        Some(text)
    }

    /// Whether the keys of `section`, or of the file, are in a flow mapping `{…}`.
    fn is_flow(&self, section: Option<&str>) -> Option<bool> {
        if self.text[skip_blank(self.text, 0)..].starts_with('{') {
            return Some(true);
        }
        let Some(section) = section else {
            return Some(false);
        };
        let key = offset(self.text, self.section(section)?)?;
        let start = skip_blank(self.text, after_colon(self.text, key, section)?);
        Some(self.text[start..].starts_with('{'))
    }

    /// The place of the key of a section.
    fn section(&self, section: &str) -> Option<Place> {
        let mut sections = self.before.sections.iter();
        let found = sections.find(|(name, _)| *name == section);
        found.map(|(_, place)| *place)
    }

    /// Inserts lines at the start of a line.
    fn lines_at(&self, at: usize, lines: &[String]) -> Splice {
        let mut added: String = lines
            .iter()
            .flat_map(|line| [line.as_str(), self.newline])
            .collect();
        if !self.text[..at].is_empty() && !self.text[..at].ends_with('\n') {
            added.insert_str(0, self.newline);
        }
        (at..at, added)
    }
}

/// Every key that has a value, in its normal form, so that the notation of a list does not matter.
fn meaning(document: &Document) -> BTreeMap<&'static str, Raw> {
    let with_value = |entry: &Entry| {
        let raw = entry.raw.clone()?;
        let normal = entry.row.normal(&raw).unwrap_or(Some(raw));
        Some((entry.row.key, normal?))
    };
    document.entries.iter().filter_map(with_value).collect()
}

/// The value of `yaml` in its normal form.
fn wanted(row: &'static Row, yaml: &str) -> Result<Option<Raw>, SettingsError> {
    let line = match row.path() {
        (Some(section), name) => format!("{section}: {{{name}: {yaml}}}"),
        (None, name) => format!("{name}: {yaml}"),
    };
    let place = Path::new("the new value");
    let document = read(place, &line)?;
    let [entry] = document.entries.as_slice() else {
        return Err(SettingsError::at(
            place.display(),
            format!("{yaml} is not a single value"),
        ));
    };
    let Some(raw) = &entry.raw else {
        return Ok(None);
    };
    let origin = Origin::Flag {
        name: "the new value",
    };
    row.normal(raw)
        .map_err(|refused| row.refusal(raw, &refused, &origin))
}
