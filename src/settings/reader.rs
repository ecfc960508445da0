//! How YAML is walked through for [`read`](super::file::read).
//!
//! The YAML library tells where a value stands only in errors. So each key and value is read
//! by a visitor that keeps the text and then fails: the failure carries the line and column, and
//! the library has moved on to the next value. What is really wrong is kept in the [`Reader`],
//! because the words of an error cannot be had back from the library.
//!
//! Every value is read as the type its key asks for, never as a tree of anything. That is also
//! what makes aliases harmless: where a tree could multiply, a text or a list of texts is expected.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::file::{Document, Entry, Place};
use super::nearest::nearest;
use super::row::Row;
use super::table::{ROWS, SECTIONS};
use super::value::Raw;

/// What has been read so far.
#[derive(Default)]
pub(super) struct Reader {
    document: RefCell<Document>,
    seen: RefCell<BTreeSet<String>>,
    problem: RefCell<Option<(usize, String)>>,
}

impl Reader {
    /// What was read, or the line and the words of the problem.
    pub fn finish(self) -> Result<Document, (usize, String)> {
        match self.problem.into_inner() {
            Some(problem) => Err(problem),
            None => Ok(self.document.into_inner()),
        }
    }

    /// Ends the reading with this problem.
    fn fail<T, E: Error>(&self, line: usize, message: String) -> Result<T, E> {
        *self.problem.borrow_mut() = Some((line, message));
        Err(E::custom(""))
    }

    /// Whether the library found another type than asked for; the words are serde's own.
    fn is_wrong_type(&self, error: &impl fmt::Display) -> bool {
        self.problem.borrow().is_none() && error.to_string().contains("invalid type")
    }

    /// Refuses a key that stands twice, and takes note of it.
    fn only_once<E: Error>(&self, key: &str, place: Place) -> Result<(), E> {
        if self.seen.borrow_mut().insert(key.to_owned()) {
            return Ok(());
        }
        self.fail(
            place.line,
            format!("`{key}` is set a second time, remove one"),
        )
    }

    fn unknown<T, E: Error>(&self, key: &str, place: Place) -> Result<T, E> {
        let sections = SECTIONS.iter().map(|(section, _)| *section);
        let known = ROWS.iter().filter(|row| !row.secret).map(|row| row.key);
        let cure = match (
            Row::of(key).map(Row::path),
            nearest(key, known.chain(sections)),
        ) {
            (Some((Some(section), name)), _) => {
                format!("write it as `{name}:` in the section `{section}:`")
            }
            (_, Some(near)) => format!("did you mean `{near}`?"),
            (_, None) => "options of Synapse itself belong into homeserver.d".to_owned(),
        };
        self.fail(place.line, format!("unknown setting `{key}`, {cure}"))
    }

    /// The row of a key of the file.
    fn row<E: Error>(&self, key: &str, place: Place) -> Result<&'static Row, E> {
        match Row::of(key) {
            Some(row) if row.secret => {
                let message =
                    format!("`{key}` does not belong into this file, see `database.password_file`");
                self.fail(place.line, message)
            }
            Some(row) => Ok(row),
            None => self.unknown(key, place),
        }
    }

    /// Reads the value of `row` out of `map` and keeps the entry.
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

/// The whole file: nothing, or a mapping.
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
        result.or_else(|error| not_a_mapping(reader, error, "the settings"))
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

/// Turns "wrong type" into our words; problems and syntax errors stay as they are.
fn not_a_mapping<E: Error>(reader: &Reader, error: E, what: &str) -> Result<(), E> {
    if !reader.is_wrong_type(&error) {
        return Err(error);
    }
    let message = format!("{what} must be keys with values, each on a line as KEY: VALUE");
    reader.fail(Place::of(&error).line, message)
}

/// The keys below a section.
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

/// A key, or an item of a list: a text and its place.
struct Word<'r>(&'r Reader);

impl<'de> DeserializeSeed<'de> for Word<'_> {
    type Value = (String, Place);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match text_and_place(deserializer)? {
            (Some(text), place) => Ok((text, place)),
            (None, place) => {
                let message =
                    "expected a text here, found a list or a mapping; put quotes around it";
                self.0.fail(place.line, message.to_owned())
            }
        }
    }
}

/// The text of a scalar as written, and where it stands; no text for what is not a scalar.
fn text_and_place<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(Option<String>, Place), D::Error> {
    let mut text = None;
    match deserializer.deserialize_str(KeepAndFail(&mut text)) {
        Ok(never) => match never {},
        Err(error) if text.is_some() || error.to_string().contains("invalid type") => {
            Ok((text, Place::of(&error)))
        }
        Err(error) => Err(error),
    }
}

struct KeepAndFail<'t>(&'t mut Option<String>);

impl Visitor<'_> for KeepAndFail<'_> {
    type Value = std::convert::Infallible;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        *self.0 = Some(text.to_owned());
        Err(E::custom(""))
    }
}

/// The value of a key.
struct ValueOf<'r> {
    reader: &'r Reader,
    row: &'static Row,
}

#[derive(Default)]
struct Written {
    line: Option<usize>,
    raw: Option<Raw>,
    items: Vec<Place>,
}

impl ValueOf<'_> {
    /// A list, or a text with commas that stands for one.
    fn list<'de, D: Deserializer<'de>>(&self, deserializer: D) -> Result<Written, D::Error> {
        let mut text = None;
        let visitor = ListOrText {
            reader: self.reader,
            text: &mut text,
        };
        match (deserializer.deserialize_any(visitor), text) {
            (Ok(items), _) => {
                let (texts, items) = items.into_iter().unzip();
                Ok(Written {
                    line: None,
                    raw: Some(Raw::List(texts)),
                    items,
                })
            }
            (Err(error), Some(text)) => Ok(Written {
                line: Some(Place::of(&error).line),
                raw: Some(Raw::Text(text)),
                items: Vec::new(),
            }),
            (Err(error), None) if self.reader.is_wrong_type(&error) => {
                self.wrong_type(Place::of(&error))
            }
            (Err(error), None) => Err(error),
        }
    }

    fn wrong_type<T, E: Error>(&self, place: Place) -> Result<T, E> {
        let (key, kind) = (self.row.key, self.row.kind());
        self.reader.fail(
            place.line,
            format!("`{key}` is written as another type, expected {kind}"),
        )
    }
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = Written;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for ValueOf<'_> {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_none<E>(self) -> Result<Written, E> {
        Ok(Written::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Written, D::Error> {
        if self.row.list {
            return self.list(deserializer);
        }
        match text_and_place(deserializer)? {
            (Some(text), place) => Ok(Written {
                line: Some(place.line),
                raw: Some(Raw::Text(text)),
                items: Vec::new(),
            }),
            (None, place) => self.wrong_type(place),
        }
    }
}

struct ListOrText<'r, 't> {
    reader: &'r Reader,
    text: &'t mut Option<String>,
}

impl<'de> Visitor<'de> for ListOrText<'_, '_> {
    type Value = Vec<(String, Place)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        *self.text = Some(text.to_owned());
        Err(E::custom(""))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Word(self.reader))? {
            items.push(item);
        }
        Ok(items)
    }
}
