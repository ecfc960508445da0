//! The settings file: YAML read into raw values, each with its place.
//!
//! Three readers with spans were tried on 85 texts, most of them from tests/settings. The same values, places and lines
//! of errors came from 76 with the events of `saphyr-parser` (4 more crates, no C), from 69 with `Spanned` of
//! `serde-saphyr` (16 more crates; 5 more texts if this program adds the place to its own errors), and from 61 with
//! `marked-yaml` (12 more crates), which has no anchors and tags, and overflows the stack on nested list items. The
//! other two refuse deep nesting and alias bombs, but differ in unclosed quotes, block scalars, aliases and types.
//! `yaml_serde` would stay in any case, for homeserver.d and adopted files.

mod mapping;
mod reader;
mod tree;
mod value;
mod word;

use std::fmt;
use std::path::Path;

use serde::Deserializer;

use super::origin::SettingsError;
use super::row::Row;
use super::value::Raw;
use mapping::Top;
use reader::Reader;

/// The maximum size of a settings file in bytes; a larger file is a mistake.
const MAX_BYTES: usize = 1 << 20;

/// The maximum number of opening brackets; the YAML library takes quadratic time for nested ones.
const MAX_BRACKETS: usize = 1000;

/// A place in a text. Line and column count from 1, and columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line; a carriage return before the line feed belongs to the line break.
    pub line: usize,
    /// The column; a byte order mark takes none.
    pub column: usize,
}

impl Place {
    /// The place in an error of the YAML library, which omits the place if it is the very first one.
    pub(super) fn of(error: &impl fmt::Display) -> Self {
        let message = error.to_string();
        let place = message.rsplit_once(" at line ").and_then(|(_, place)| {
            let (line, column) = place.split_once(" column ")?;
            Some((line.parse().ok()?, column.parse().ok()?))
        });
        let (line, column) = place.unwrap_or((1, 1));
        Self { line, column }
    }
}

/// One key of the file.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The setting.
    pub row: &'static Row,
    /// The place of the first character of the key, which may be a quote.
    pub key: Place,
    /// The first line of the value, or the line of the key if there is no value.
    pub line: usize,
    /// `None` for a key without a value.
    pub raw: Option<Raw>,
    /// The places of the items of a list.
    pub items: Vec<Place>,
}

/// A settings file as read.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The keys that the file contains, in the order of the file.
    pub entries: Vec<Entry>,
    /// The sections in the order of the file, with the place of their keys.
    pub sections: Vec<(&'static str, Place)>,
}

impl Document {
    /// The key of a setting; `None` if the file lacks it.
    pub fn entry(&self, row: &Row) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.row.key == row.key)
    }
}

/// Reads the structure of a settings file; values are validated later.
///
/// # Errors
/// Names the line that is not YAML, or the key that is unknown, repeated or of another type.
pub fn read(path: &Path, text: &str) -> Result<Document, SettingsError> {
    if text.len() > MAX_BYTES {
        let message = "larger than 1 MiB, so this is not a settings file";
        return Err(SettingsError::at(path.display(), message));
    }
    let refuse_at = |at: usize, message: String| {
        let line = text[..at].matches('\n').count() + 1;
        Err(SettingsError::at_line(path, line, message))
    };
    if let Some((at, _)) = text.char_indices().find(|at| is_control(text, *at)) {
        return refuse_at(at, "control characters are not allowed".to_owned());
    }
    if let Some((at, _)) = text.match_indices(['[', '{']).nth(MAX_BRACKETS) {
        let message = format!("more than {MAX_BRACKETS} brackets, so this is not a settings file");
        return refuse_at(at, message);
    }
    let reader = Reader::default();
    // After a byte order mark, which editors on Windows write, the YAML library refuses a second key at the top level.
    let yaml = text.strip_prefix('\u{feff}').unwrap_or(text);
    let result = serde_yaml::Deserializer::from_str(yaml).deserialize_option(Top(&reader));
    match (result, reader.finish()) {
        (_, Err((line, problem))) => Err(problem.within_line(path, line)),
        (Err(error), Ok(_)) => Err(syntax_error(path, text, &error)),
        (Ok(()), Ok(document)) => Ok(document),
    }
}

/// Whether the character is a mistake. YAML treats some of them as line breaks, and editors do not.
fn is_control(text: &str, (at, letter): (usize, char)) -> bool {
    match letter {
        '\t' | '\n' => false,
        '\r' => !text[at + 1..].starts_with('\n'),
        '\u{2028}' | '\u{2029}' => true,
        letter => letter.is_control(),
    }
}

/// Turns an error of the library into a message with the line.
fn syntax_error(path: &Path, text: &str, error: &serde_yaml::Error) -> SettingsError {
    let Some(location) = error.location() else {
        return several_documents(path, text);
    };
    let line = location.line();
    let indented = text.lines().nth(line - 1).unwrap_or_default();
    let indentation = &indented[..indented.len() - indented.trim_start().len()];
    if indentation.contains('\t') {
        let problem = SettingsError::at_line(path, line, "the line is indented with a tab");
        return problem.help("indent with spaces");
    }
    let place = format!(" at line {line} column {}", location.column());
    let problem = error.to_string().replacen(&place, "", 1);
    SettingsError::at_line(path, line, format!("invalid YAML: {problem}"))
}

/// The only error of the library without a place.
fn several_documents(path: &Path, text: &str) -> SettingsError {
    let starts = text.lines().enumerate().skip(1);
    match starts.filter(|(_, line)| line.starts_with("---")).last() {
        Some((index, _)) => {
            SettingsError::at_line(path, index + 1, "a second YAML document starts")
        }
        None => SettingsError::at(path.display(), "the file contains several YAML documents"),
    }
    .help("keep one document, and remove the lines `---` between them")
}
