//! Reads the keys of the file, each of which must be known and set only once.
//!
//! Problems are kept in the [`Reader`], because the YAML library wraps the message of an error in text of its own.
//!
//! Every value is read as the type of its key. This also makes aliases harmless: where a tree could multiply, only a
//! text, a list of texts or a tree of limited size is accepted.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::reader::Reader;
use super::value::ValueOf;
use super::word::Word;
use super::{Entry, Place};
use crate::settings::origin::SettingsError;
use crate::settings::row::Row;
use crate::settings::table::SECTIONS;

impl Reader {
    /// Reads the value of `row` from `map` and records the entry.
    fn value<'de, A: MapAccess<'de>>(
        &self,
        map: &mut A,
        row: &'static Row,
        key: Place,
    ) -> Result<(), A::Error> {
        self.only_once(row.key, key)?;
        let value = map.next_value_seed(ValueOf { reader: self, row })?;
        self.document.borrow_mut().entries.push(Entry {
            row,
            key,
            line: value.line.unwrap_or(key.line),
            raw: value.raw,
            items: value.items,
        });
        Ok(())
    }
}

/// The whole file: empty, or a mapping.
pub(super) struct Top<'r>(pub &'r Reader);

impl<'de> Visitor<'de> for Top<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of settings")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let reader = self.0;
        let result = deserializer.deserialize_map(self);
        result.or_else(|error| not_a_mapping(reader, error, "the settings file"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, place)) = map.next_key_seed(Word(self.0))? {
            match SECTIONS.iter().find(|(section, _)| *section == key) {
                None if key.contains('.') => self.0.unknown(&key, place)?,
                None => self.0.value(&mut map, self.0.row(&key, place)?, place)?,
                Some((section, _)) => {
                    self.0.only_once(section, place)?;
                    self.0.document.borrow_mut().sections.push((section, place));
                    map.next_value_seed(Section {
                        reader: self.0,
                        section,
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// Replaces the error "wrong type" by a message of this program; problems and syntax errors are passed on unchanged.
fn not_a_mapping<E: Error>(reader: &Reader, error: E, part: &str) -> Result<(), E> {
    if !reader.is_wrong_type(&error) {
        return Err(error);
    }
    let problem = SettingsError::new(format!("{part} has no keys"));
    let problem = problem.help("write one KEY: VALUE per line");
    reader.fail(Place::of(&error).line, problem)
}

/// The keys of a section.
struct Section<'r> {
    reader: &'r Reader,
    section: &'static str,
}

impl<'de> DeserializeSeed<'de> for Section<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Section<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let (reader, section) = (self.reader, self.section);
        let result = deserializer.deserialize_map(self);
        result.or_else(|error| not_a_mapping(reader, error, &format!("the section `{section}`")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, place)) = map.next_key_seed(Word(self.reader))? {
            let row = self
                .reader
                .row(&format!("{}.{name}", self.section), place)?;
            self.reader.value(&mut map, row, place)?;
        }
        Ok(())
    }
}
