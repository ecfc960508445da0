//! The settings file: YAML read into raw values, each with its place.

use std::fmt;
use std::path::Path;

use serde::Deserializer;

use super::origin::SettingsError;
use super::reader::{Reader, Top};
use super::row::Row;
use super::value::Raw;

/// A settings file of this size is a mistake.
const MAX_BYTES: usize = 1 << 20;

/// Where something stands in a text; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The place in an error of the YAML library, which leaves out the very first one.
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
    pub row: &'static Row,
    pub key: Place,
    /// The first line of the value, the key's when there is none.
    pub line: usize,
    /// `None` for a key with nothing after the colon.
    pub raw: Option<Raw>,
    /// Where the items of a list stand.
    pub items: Vec<Place>,
}

/// A settings file as read.
#[derive(Clone, Debug, Default)]
pub struct Document {
    pub entries: Vec<Entry>,
    /// The sections in the order of the file, with the place of their keys.
    pub sections: Vec<(&'static str, Place)>,
}

impl Document {
    pub fn entry(&self, row: &Row) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.row.key == row.key)
    }
}

/// Reads the structure of a settings file; values are not judged yet.
pub fn read(path: &Path, text: &str) -> Result<Document, SettingsError> {
    if text.len() > MAX_BYTES {
        let message = "larger than 1 MiB, this cannot be a settings file";
        return Err(SettingsError::at(path.display(), message));
    }
    let reader = Reader::default();
    let result = serde_yaml::Deserializer::from_str(text).deserialize_option(Top(&reader));
    match (result, reader.finish()) {
        (_, Err((line, message))) => Err(SettingsError::at_line(path, line, message)),
        (Err(error), Ok(_)) => Err(syntax_error(path, text, &error)),
        (Ok(()), Ok(document)) => Ok(document),
    }
}

/// The library's error as one sentence.
fn syntax_error(path: &Path, text: &str, error: &serde_yaml::Error) -> SettingsError {
    let Some(location) = error.location() else {
        return SettingsError::at(path.display(), several_documents(text));
    };
    let line = location.line();
    let indented = text.lines().nth(line - 1).unwrap_or_default();
    let indentation = &indented[..indented.len() - indented.trim_start().len()];
    if indentation.contains('\t') {
        return SettingsError::at_line(path, line, "indented with a tab, use spaces");
    }
    let words = error.to_string();
    let problem = words.split(" at line ").next().unwrap_or(&words);
    SettingsError::at_line(path, line, format!("this is not YAML: {problem}"))
}

/// The one error of the library without a place.
fn several_documents(text: &str) -> String {
    let marks = text.lines().enumerate().skip(1);
    match marks.filter(|(_, line)| line.starts_with("---")).last() {
        Some((index, _)) => format!("line {}: a second YAML document, keep one", index + 1),
        None => "more than one YAML document, keep one".to_owned(),
    }
}
